//! The wasm types of random signatures, compared with what clang gives such functions.
//!
//! clang prints a `.functype` for every function of an assembly listing. Of variadic functions it
//! is that of a buffer in linear memory; we name the types of a tail instead, so that these are
//! left out.
use crate::c_types::{self, Generator, Menu, declare};
use crate::hollow::Hollow;
use portcullis::plan::compile::lower;
use portcullis::plan::layout::DataModel;
use portcullis::signature::{Prototype, Scope, Span, TypeKind, Variadic};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;

const MENU: Menu = Menu {
    bit_fields: true,
    unnamed_bit_fields: true,
    attributes: true,
    atomics: false,
    wide: true,
    fields: 3,
    hollow: true,
    pointers: true,
};
const SIGNATURES: usize = 3000;

#[test]
fn clang_gives_functions_the_wasm_types_that_we_say() {
    let mut generator = Generator::new(c_types::seed(), MENU);
    for _ in 0..300 {
        generator.record();
    }
    let mut program = generator.definitions();
    let mut expected = Vec::new();
    let mut refused = 0;
    let mut hollow = Hollow::default();
    while expected.len() < SIGNATURES {
        let mut function = c_types::signature(&mut generator);
        function.variadic = Variadic::No;
        c_types::types(&function).into_iter().for_each(|of| hollow.count(of));
        let name = format!("f{}", expected.len());
        let prototype = Prototype {
            name: c_types::ident(&name),
            function: function.clone(),
            notes: Vec::new(),
            span: Span::default(),
            data: None,
        };
        // Vectors of 8 bytes are what is refused.
        let Ok(lowering) = lower(&prototype, &Scope::default(), DataModel::Ilp32, None) else {
            refused += 1;
            continue;
        };
        let params: Vec<String> = function.params.iter().map(|p| declare(&p.ty, "")).collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        let mut body = "for (;;);";
        if function.result.kind == TypeKind::Void {
            body = "";
        }
        let declared = declare(&function.result, &format!("{name}({params})"));
        let _ = writeln!(program, "{declared} {{ {body} }}");
        expected.push(lowering.to_string());
    }
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("types.c");
    std::fs::write(&source, &program).expect("writes");
    let compiled = Command::new("clang")
        .args(["--target=wasm32-unknown-unknown", "-msimd128", "-std=gnu2x", "-w", "-O0", "-S"])
        .args(["-o", "-"])
        .arg(&source)
        .output()
        .expect("clang");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let listing = String::from_utf8_lossy(&compiled.stdout);
    let found: HashMap<&str, String> = listing
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".functype")?.trim().split_once(' '))
        .map(|(name, ty)| (name, text(ty)))
        .collect();
    let mut wrong = 0;
    for (index, ours) in expected.iter().enumerate() {
        let name = format!("f{index}");
        let theirs = found.get(&*name).map_or("nothing", |ty| ty);
        if theirs != ours {
            wrong += 1;
            let line = program.lines().find(|line| line.contains(&format!(" {name}(")));
            println!("{}: clang says {theirs}, we say {ours}", line.unwrap_or(&name));
            for record in line.unwrap_or_default().split(['(', ',', ' ']) {
                let defines = |line: &&str| line.contains(&format!(" {record} {{ "));
                if record.starts_with('r') {
                    println!("    {}", program.lines().find(defines).unwrap_or_default());
                }
            }
        }
    }
    assert_eq!(wrong, 0, "of {SIGNATURES} signatures");
    hollow.assert(500);
    assert!(refused < SIGNATURES, "{refused} signatures were refused");
}

/// `(i32, f64) -> (i32)` as we write it: `(func (param i32 f64) (result i32))`.
fn text(ty: &str) -> String {
    let (params, results) = ty.split_once(" -> ").expect("a function type");
    let list = |what: &str, types: &str| {
        let types = types.trim_matches(['(', ')']).replace(", ", " ");
        if types.is_empty() { types } else { format!(" ({what} {types})") }
    };
    format!("(func{}{})", list("param", params), list("result", results))
}
