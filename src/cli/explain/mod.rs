//! `explain`: how a C function is called, stage by stage.
mod drawing;
mod html;

use super::page::{Page, complain};
use super::report::{ERROR, Failure, HEADING, Status};
use super::similar::similar;
use super::table::{Cell, Table};
use super::{args, meant};
use anyhow::{Context as _, Result, bail};
use drawing::Drawing;
use portcullis::interfaces;
use portcullis::plan::HandleTypes;
use portcullis::plan::abi::{self, Abi};
use portcullis::plan::compile::{self, CompileError, Target, lower};
use portcullis::plan::disassemble::disassemble;
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::{self, DataModel, extent_of};
use portcullis::signature::{
    Diagnostic, Diagnostics, Grant, Interface, Prototype, Record, RecordKind, Scope, Type,
    TypeKind, agree, open_tail, parse_declaration, parse_prototype, with_example_tail, with_tail,
};
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// A prototype and all that it is explained with.
struct Subject {
    prototype: Arc<Prototype>,
    /// What the spans point into, and its name.
    name: Arc<str>,
    text: Arc<str>,
    scope: Scope,
    leaf: bool,
    /// Other prototypes of the same library.
    others: Vec<Arc<Prototype>>,
}

/// Explains a prototype, or every grant of a function that the command line names.
pub fn explain(typed: &args::Explain) -> Result<Status, Failure> {
    let model = match typed.model {
        args::Model::Wasm32 => DataModel::Ilp32,
        args::Model::Wasm64 => DataModel::Lp64,
    };
    let abi = match typed.abi {
        Some(args::AbiName::Sysv) => Abi::SysvX86_64,
        Some(args::AbiName::Aapcs64) => Abi::Aapcs64,
        None => Abi::host_or_default(),
    };
    let mut status = Status::Good;
    let mut functions = Vec::new();
    for (number, subject) in subjects(typed)?.iter().enumerate() {
        let mut page = Page::default();
        if number > 0 {
            page.line("");
        }
        let (mut sections, error) = subject.explain(model, abi);
        for (number, section) in sections.iter().enumerate() {
            if number > 0 {
                page.line("");
            }
            page.line(format_args!("{HEADING}{}{HEADING:#}", section.heading));
            page.lines(2, section.text.trim_end_matches('\n'));
        }
        page.show()?;
        if let Some(error) = error {
            status = Status::Bad;
            let told = subject.refused(error);
            complain(&told);
            sections.push(Section::new("error", told));
        }
        functions.push((subject.prototype.to_string(), sections));
    }
    if let Some(path) = &typed.html {
        std::fs::write(path, html::page(&functions))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(status)
}

/// A part of what is said, for the terminal and for a page.
struct Section {
    heading: String,
    text: String,
    /// Drawings of the same, for pages.
    drawings: Vec<String>,
}

impl Section {
    fn new(heading: impl Into<String>, text: impl Into<String>) -> Section {
        Section { heading: heading.into(), text: text.into(), drawings: Vec::new() }
    }
}

fn subjects(typed: &args::Explain) -> Result<Vec<Subject>> {
    if typed.prototype.contains(['/', '.']) && Path::new(&typed.prototype).is_file() {
        bail!(
            "`{}` is a file, and `explain` takes a prototype, or the name of a function with --grant: `portcullis \
             imports` looks at guests, `check` at interfaces",
            typed.prototype
        );
    }
    let interfaces = typed
        .grant
        .iter()
        .map(|path| meant::Source::find(path)?.interface())
        .collect::<Result<Vec<_>>>()?;
    let granted: Vec<Subject> =
        interfaces.iter().flat_map(|interface| named(interface, &typed.prototype)).collect();
    if !granted.is_empty() {
        return Ok(granted);
    }
    // As for a guest that imports it so: the types behind `...` are checked against the grant's format.
    let own_tail = interfaces.iter().find_map(|one| with_own_tail(one, &typed.prototype));
    if let Some(subject) = own_tail {
        return Ok(vec![subject]);
    }
    unknown_name(&typed.prototype, &interfaces)?;
    let scope = interfaces.first().map(|interface| interface.scope.clone()).unwrap_or_default();
    let prototype = parse_prototype(&typed.prototype, &scope)?;
    let calls_back = has_callback(&prototype);
    let others = interfaces.first().map(prototypes).unwrap_or_default();
    Ok(vec![Subject {
        prototype: Arc::new(prototype),
        name: "prototype".into(),
        text: typed.prototype.as_str().into(),
        scope,
        leaf: !calls_back,
        others,
    }])
}

/// A name alone is that of a function which an interface grants; fails, because here none does.
fn unknown_name(typed: &str, interfaces: &[Interface]) -> Result<()> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if typed.is_empty()
        || !typed.chars().all(is_name)
        || typed.starts_with(|c: char| c.is_ascii_digit())
    {
        return Ok(());
    }
    let grants = |interface: &Interface| {
        interface.grants.iter().any(|grant| *grant.prototype.name.name == *typed)
    };
    let shipped: Vec<String> = interfaces::all()
        .iter()
        .filter(|(_, shipped)| grants(shipped.interface()))
        .map(|(file, _)| format!("`--grant {}`", file.strip_suffix(".h").unwrap_or(file)))
        .collect();
    let who: Vec<&str> = interfaces.iter().map(|interface| &*interface.name).collect();
    let mut said = match &who[..] {
        [] => format!("`{typed}` is a name, and no interface is given that grants it"),
        [one] => format!("{one} does not grant `{typed}`"),
        all => format!("none of {} grants `{typed}`", all.join(", ")),
    };
    let names = |interface: &'_ Interface| -> Vec<String> {
        interface.grants.iter().map(|grant| grant.prototype.name.name.to_string()).collect()
    };
    let granted: Vec<String> = interfaces.iter().flat_map(names).collect();
    let near = similar(typed, granted.iter().map(|name| &**name));
    if !shipped.is_empty() {
        said.push_str(&format!(": add {}", shipped.join(" or ")));
    } else if !near.is_empty() {
        let names: Vec<String> = near.iter().take(5).map(|name| format!("`{name}`")).collect();
        said.push_str(&format!("; similar names that it grants: {}", names.join(", ")));
    } else if let elsewhere = elsewhere(typed)
        && !elsewhere.is_empty()
    {
        said.push_str(&format!("; did you mean {}?", elsewhere.join(" or ")));
    } else if who.is_empty() {
        said.push_str(
            ": write its prototype, `double cos(double x)`, or add the interface with --grant",
        );
    } else {
        said.push_str("; write its prototype to see how it would be called");
    }
    anyhow::bail!(said)
}

/// Functions of that name, more or less, which shipped interfaces grant.
fn elsewhere(typed: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (file, shipped) in interfaces::all() {
        let grants = shipped.interface().grants.iter();
        let names: Vec<&str> = grants.map(|grant| &*grant.prototype.name.name).collect();
        let flag = file.strip_suffix(".h").unwrap_or(file);
        for name in similar(typed, names).into_iter().take(3) {
            let distance = strsim::damerau_levenshtein(typed, name);
            found.push((distance, format!("`{name}` (`--grant {flag}`)")));
        }
    }
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, said)| said).collect()
}

/// The grant of a function with a format, called as this prototype says.
fn with_own_tail(interface: &Interface, text: &str) -> Option<Subject> {
    let guest = parse_declaration(text, &interface.scope).ok()?;
    let grant = interface.grants.iter().find(|grant| {
        open_tail(&grant.prototype).is_some() && agree(&guest, &grant.prototype).is_ok()
    })?;
    let prototype = with_tail(&guest, &grant.prototype).ok()?;
    Some(Subject { prototype, ..granted(interface, grant) })
}

/// The grants of that function.
fn named(interface: &Interface, name: &str) -> Vec<Subject> {
    let grants = interface.grants.iter().filter(|grant| *grant.prototype.name.name == *name);
    grants.map(|grant| granted(interface, grant)).collect()
}

fn granted(interface: &Interface, grant: &Grant) -> Subject {
    Subject {
        // Where a format tells the types, there is something to show only with some.
        prototype: Arc::new(with_example_tail(&grant.prototype)),
        name: Arc::clone(&interface.name),
        text: Arc::clone(&interface.text),
        scope: interface.scope.clone(),
        leaf: grant.leaf,
        others: prototypes(interface),
    }
}

fn prototypes(interface: &Interface) -> Vec<Arc<Prototype>> {
    interface.grants.iter().map(|grant| Arc::clone(&grant.prototype)).collect()
}

fn has_callback(prototype: &Prototype) -> bool {
    let is_function = |ty: &Type| {
        ty.pointee().is_some_and(|pointee| matches!(pointee.kind, TypeKind::Function(_)))
    };
    prototype.function.params.iter().any(|param| is_function(&param.ty))
}

/// Numbers handle types by their tags: nothing but telling them apart is needed here.
#[derive(Default)]
pub struct Numbers {
    known: RefCell<Vec<(RecordKind, Option<Arc<str>>)>>,
}

impl HandleTypes for Numbers {
    fn number(&self, record: &Record) -> HandleType {
        let key = (record.kind, record.tag.as_ref().map(|tag| Arc::clone(&tag.name)));
        let mut known = self.known.borrow_mut();
        let number = known.iter().position(|one| *one == key).unwrap_or_else(|| {
            known.push(key);
            known.len() - 1
        });
        HandleType(u32::try_from(number + 1).unwrap_or(u32::MAX))
    }
}

impl Subject {
    /// Says everything, up to what is not supported.
    fn explain(&self, model: DataModel, abi: Abi) -> (Vec<Section>, Option<CompileError>) {
        let mut sections = Vec::new();
        let error = self.sections(model, abi, &mut sections).err();
        (sections, error)
    }

    fn sections(
        &self,
        model: DataModel,
        abi: Abi,
        sections: &mut Vec<Section>,
    ) -> Result<(), CompileError> {
        let prototype = &self.prototype;
        sections.push(Section::new("prototype", prototype.to_string()));
        let mut types = Section::new("types", self.types(model, abi));
        let sides = [layout::Target::Guest(model), layout::Target::Host(abi)];
        let guest = match model {
            DataModel::Ilp32 => "wasm32",
            DataModel::Lp64 => "wasm64",
        };
        for ty in records(prototype) {
            if let Ok(text) = layout::describe(ty, &self.scope, abi) {
                types.text.push('\n');
                types.text.push_str(&text);
            }
            types.drawings.extend(drawing::beside(ty, &self.scope, sides, [guest, abi.name()]));
        }
        sections.push(types);
        let lowering = lower(prototype, &self.scope, model, None)?;
        sections.push(Section::new("wasm type", lowering.to_string()));
        if let Ok(assignment) = abi::assign(&prototype.function, &self.scope, abi) {
            let text = abi::describe(&assignment, &prototype.function, abi);
            sections.push(Section::new("assignment", text));
            let drawing = Drawing::new(&assignment, &prototype.function, abi);
            let mut section = Section::new("registers and stack, a letter a byte", drawing.text());
            if !section.text.is_empty() {
                section.drawings.push(drawing.svg());
                sections.push(section);
            }
        }
        let plan = compile_for(prototype, &self.scope, self.leaf, model, abi, &self.others)?;
        sections.push(Section::new("plan", disassemble(&plan, abi)));
        if abi == Abi::SysvX86_64 {
            trampoline(&plan, sections);
        }
        Ok(())
    }

    fn refused(&self, error: CompileError) -> String {
        match error {
            CompileError::Prototype(list) => self.mistakes(list).colored(),
            other => format!("{ERROR}error:{ERROR:#} {other}"),
        }
    }

    fn mistakes(&self, list: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics::new(Arc::clone(&self.name), Arc::clone(&self.text), list)
    }

    /// A line a value: the result, each parameter, and what pointers point at.
    fn types(&self, model: DataModel, abi: Abi) -> String {
        let guest = match model {
            DataModel::Ilp32 => "wasm32",
            DataModel::Lp64 => "wasm64",
        };
        let mut table = Table::default();
        let heads = ["", "type", guest, abi.name()];
        table.row(heads.map(|head| Cell::styled(head, HEADING)));
        for (number, param) in self.prototype.function.params.iter().enumerate() {
            let name = match &param.name {
                Some(name) => name.to_string(),
                None => format!("({})", number + 1),
            };
            self.value(&name, &param.ty, model, abi, &mut table);
        }
        self.value("result", &self.prototype.function.result, model, abi, &mut table);
        table.show(0)
    }

    fn value(&self, name: &str, ty: &Type, model: DataModel, abi: Abi, table: &mut Table) {
        let size = |target| match extent_of(ty, &self.scope, target) {
            Ok(extent) => bytes(extent.size),
            Err(_) => String::new(),
        };
        let sizes = (size(layout::Target::Guest(model)), size(layout::Target::Host(abi)));
        let spelled = ty.as_written().to_string();
        table.row([name.into(), spelled.into(), sizes.0.into(), sizes.1.into()]);
        if let Some(pointee) = ty.pointee()
            && extent_of(pointee, &self.scope, layout::Target::Host(abi)).is_ok()
        {
            self.value(&format!("*{name}"), pointee, model, abi, table);
        }
    }
}

/// Shows what `--tier cranelift` and `--tier direct` make of a plan, and what native code enters when it calls the
/// guest's functions.
#[cfg(feature = "cranelift")]
fn trampoline(plan: &portcullis::plan::Plan, sections: &mut Vec<Section>) {
    use portcullis::cranelift_backend::{assembly, direct_listing, listing};
    let trampolines = [("cranelift", listing(plan)), ("direct", direct_listing(plan))];
    let entry = |(number, callback): (usize, &portcullis::plan::Callback)| {
        (format!("callback {number}"), listing(&callback.plan))
    };
    let entries = plan.callbacks.iter().enumerate().map(entry);
    for (what, listing) in
        trampolines.map(|(tier, code)| (tier.to_owned(), code)).into_iter().chain(entries)
    {
        let code = format!("machine code, {what}");
        match listing {
            Ok(listing) => {
                let by_hand = || "none: this code is written instruction by instruction".to_owned();
                let clif = listing.clif.unwrap_or_else(by_hand);
                sections.push(Section::new(format!("CLIF, {what}"), clif));
                sections.push(Section::new(code, assembly::text(&listing.code, plan, false)));
            }
            Err(why) => sections.push(Section::new(code, format!("none: {why}"))),
        }
    }
}

#[cfg(not(feature = "cranelift"))]
fn trampoline(_: &portcullis::plan::Plan, _: &mut Vec<Section>) {}

/// Compiles a plan to look at, not to run.
pub fn compile_for(
    prototype: &Arc<Prototype>,
    scope: &Scope,
    leaf: bool,
    model: DataModel,
    abi: Abi,
    others: &[Arc<Prototype>],
) -> Result<portcullis::plan::Plan, CompileError> {
    let find = |name: &str| others.iter().find(|other| *other.name.name == *name).cloned();
    let target = Target {
        model,
        abi,
        leaf,
        scope,
        import: None,
        handle_types: &Numbers::default(),
        grants: &find,
    };
    compile::compile(prototype, &target)
}

/// The structs and unions with a body that a prototype mentions, once each.
fn records(prototype: &Prototype) -> Vec<&Type> {
    let function = &prototype.function;
    let types = function.params.iter().map(|param| &param.ty).chain([&function.result]);
    let mut seen = HashSet::new();
    let innermost = types.map(|mut ty| {
        while let Some(pointee) = ty.pointee() {
            ty = pointee;
        }
        ty
    });
    innermost
        .filter(|ty| matches!(&ty.kind, TypeKind::Record(record) if seen.insert(record)))
        .collect()
}

fn bytes(size: u64) -> String {
    if size == 1 { "1 byte".to_owned() } else { format!("{size} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handle_types_are_told_apart_by_kind_and_tag() {
        let scope = Scope::default();
        let of = |text: &str| {
            let prototype = parse_prototype(text, &scope).expect("correct");
            let ty = prototype.function.params[0].ty.pointee().expect("a pointer").clone();
            let TypeKind::Record(record) = ty.kind else { panic!("a record") };
            record
        };
        let numbers = Numbers::default();
        let (a, b, c) =
            (of("void f(struct a *x)"), of("void f(struct b *x)"), of("void f(union a *x)"));
        assert_eq!(numbers.number(&a), numbers.number(&a));
        assert_ne!(numbers.number(&a), numbers.number(&b));
        assert_ne!(numbers.number(&a), numbers.number(&c));
    }
}
