//! Assignments of hand-picked signatures. Random ones are compared with what compilers do in
//! `tests/abi`.
use super::*;
use crate::signature::{
    Field, Ident, Param, Qualifiers, Record, RecordBody, RecordKind, parse_declaration,
};
use std::sync::Arc;

const INT: TypeKind = TypeKind::Integer(Integer::Int);

fn ty(kind: TypeKind) -> Type {
    Type {
        kind,
        quals: Qualifiers::default(),
        notes: Vec::new(),
        alias: None,
        span: Span::default(),
    }
}

fn param(kind: TypeKind) -> Param {
    Param { name: None, ty: ty(kind), span: Span::default() }
}

fn function(result: TypeKind, params: Vec<TypeKind>) -> Function {
    Function {
        result: ty(result),
        params: params.into_iter().map(param).collect(),
        variadic: Variadic::No,
    }
}

fn parse(text: &str) -> Function {
    let parsed = parse_declaration(text, &Scope::default());
    parsed.unwrap_or_else(|errors| panic!("{errors}")).function
}

/// The description without its heading.
fn lines(text: &str, abi: Abi) -> Vec<String> {
    let function = parse(text);
    let assignment = assign(&function, &Scope::default(), abi).expect("assigns");
    let text = describe(&assignment, &function, abi);
    text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn refusal(text: &str, abi: Abi) -> String {
    assign(&parse(text), &Scope::default(), abi).expect_err("is refused").to_string()
}

#[test]
fn registers_then_the_stack_in_order() {
    let text = "double f(int a, int b, int c, int d, int e, int f, short g, int h, \
        float i, double j, double k, double l, double m, double n, double o, double p, float q, \
        void *r)";
    let function = parse(text);
    let assignment = assign(&function, &Scope::default(), Abi::SysvX86_64).expect("assigns");
    let expected = "\
System V x86-64: 6 integer registers, 8 vector registers, 32 bytes of stack
  a         4 bytes in rdi
  b         4 bytes in rsi
  c         4 bytes in rdx
  d         4 bytes in rcx
  e         4 bytes in r8
  f         4 bytes in r9
  g         2 bytes in stack+0
  h         4 bytes in stack+8
  i         4 bytes in xmm0
  j         8 bytes in xmm1
  k         8 bytes in xmm2
  l         8 bytes in xmm3
  m         8 bytes in xmm4
  n         8 bytes in xmm5
  o         8 bytes in xmm6
  p         8 bytes in xmm7
  q         4 bytes in stack+16
  r         8 bytes in stack+24
  result    8 bytes in xmm0
";
    assert_eq!(describe(&assignment, &function, Abi::SysvX86_64), expected);

    let assignment = assign(&function, &Scope::default(), Abi::Aapcs64).expect("assigns");
    assert_eq!((assignment.integer_registers, assignment.vector_registers), (8, 8));
    assert_eq!(assignment.params[16].pieces[0].location, Location::Stack(0));
    assert_eq!(assignment.params[17].pieces[0].location, Location::Stack(8));
    assert_eq!(assignment.stack_size, 16);
}

#[test]
fn a_typed_tail_is_assigned_after_the_named_parameters() {
    let mut function = function(INT, vec![INT]);
    function.variadic = Variadic::Typed(vec![ty(TypeKind::Float(Float::Double)), ty(INT)]);
    let assignment = assign(&function, &Scope::default(), Abi::SysvX86_64).expect("assigns");
    let locations: Vec<Location> =
        assignment.params.iter().flat_map(|v| &v.pieces).map(|p| p.location).collect();
    assert_eq!(locations, [Location::Integer(0), Location::Vector(0), Location::Integer(1)]);
    assert_eq!(assignment.vector_registers, 1);

    function.variadic = Variadic::Typed(vec![ty(TypeKind::Float(Float::Float))]);
    let error = assign(&function, &Scope::default(), Abi::SysvX86_64).expect_err("promoted");
    assert_eq!(error.to_string(), "`...` never passes this type: C promotes it to `double`");
}

#[test]
fn eightbytes_choose_their_registers() {
    let text = "struct r { double d; int i; } f(struct m { int a; float b, c, d; } mixed, \
        struct p { float x, y; } pair, struct l { long a[3]; } large, __int128 wide)";
    let expected = [
        "mixed bytes 0..8 in rdi, bytes 8..16 in xmm0",
        "pair 8 bytes in xmm1",
        "large 24 bytes in stack+0",
        "wide bytes 0..8 in rsi, bytes 8..16 in rdx",
        "result bytes 0..8 in xmm0, bytes 8..16 in rax",
    ];
    assert_eq!(lines(text, Abi::SysvX86_64), expected);
}

#[test]
fn a_value_gets_all_its_registers_or_none() {
    let text =
        "void f(long a, long b, long c, long d, long e, struct p { long x, y; } pair, long g)";
    let on_x86_64 = lines(text, Abi::SysvX86_64);
    // The register that the pair left is there for the next.
    assert_eq!(on_x86_64[5..], ["pair 16 bytes in stack+0", "g 8 bytes in r9", "result nothing"]);

    let text = "void f(long a, long b, long c, long d, long e, long f, long g, \
        struct p { long x, y; } pair, long i)";
    let on_arm = lines(text, Abi::Aapcs64);
    // There it is not (C.13).
    assert_eq!(
        on_arm[7..],
        ["pair 16 bytes in stack+0", "i 8 bytes in stack+16", "result nothing"]
    );
}

#[test]
fn homogeneous_aggregates_have_a_register_a_member() {
    let text = "struct v { float x, y, z, w; } f(struct d { double re, im; } c, \
        struct five { float a[5]; } five, __int128 wide)";
    let expected = [
        "c bytes 0..8 in v0, bytes 8..16 in v1",
        "five in memory, address in x0",
        "wide bytes 0..8 in x2, bytes 8..16 in x3",
        "result bytes 0..4 in v0, bytes 4..8 in v1, bytes 8..12 in v2, bytes 12..16 in v3",
    ];
    assert_eq!(lines(text, Abi::Aapcs64), expected);
}

#[test]
fn stack_slots_on_arm_are_aligned_to_16_at_most() {
    let text = "void f(double a, double b, double c, double d, double e, double f, double g, \
        double h, double i, struct s { long double x __attribute__((aligned(32))), y; } j)";
    let function = parse(text);
    let assignment = assign(&function, &Scope::default(), Abi::Aapcs64).expect("assigns");
    assert_eq!(assignment.params[9].pieces[0].location, Location::Stack(16));
    assert_eq!((assignment.stack_size, assignment.stack_align), (48, 16));
    let assignment = assign(&function, &Scope::default(), Abi::SysvX86_64).expect("assigns");
    assert_eq!(assignment.params[9].pieces[0].location, Location::Stack(32));
    assert_eq!((assignment.stack_size, assignment.stack_align), (64, 32));
}

#[test]
fn large_results_come_through_a_hidden_pointer() {
    let text = "struct l { long a[3]; } f(long first)";
    let expected = ["first 8 bytes in rsi", "result in memory, address in rdi"];
    assert_eq!(lines(text, Abi::SysvX86_64), expected);
    let expected = ["first 8 bytes in x0", "result in memory, address in x8"];
    assert_eq!(lines(text, Abi::Aapcs64), expected);
}

#[test]
fn x87_registers_hold_results_only() {
    let text = "long double f(long double x)";
    assert_eq!(lines(text, Abi::SysvX86_64), ["x 16 bytes in stack+0", "result 16 bytes in st0"]);
    assert_eq!(lines(text, Abi::Aapcs64), ["x 16 bytes in v0", "result 16 bytes in v0"]);
    let text = "long double _Complex f(int x)";
    assert_eq!(lines(text, Abi::SysvX86_64)[1], "result bytes 0..16 in st0, bytes 16..32 in st1");
}

#[test]
fn what_compilers_disagree_on_is_refused() {
    for (text, what) in [
        ("void f(struct s { _Atomic int a; } x)", "a record with `_Atomic` members"),
        (
            "void f(struct s { int : 3; } x)",
            "a record that has nothing but unnamed bit-fields (to gcc it is an argument, to clang \
             it is none)",
        ),
        (
            "void f(struct __attribute__((aligned(32))) s { } x)",
            "a record without bytes that is aligned to more than 16",
        ),
        ("void f(union u { int a; int : 3; } x)", "a union with unnamed bit-fields"),
    ] {
        for abi in Abi::ALL {
            let refused = refusal(text, abi);
            assert!(refused.starts_with(&format!("compilers pass {what} by value")), "{refused}");
        }
    }
    let unnamed = "void f(struct s { float a; unsigned : 32; } x)";
    assert!(refusal(unnamed, Abi::SysvX86_64).contains("unnamed bit-fields"));
    // Here its eightbyte is an integer either way.
    let agreed = "void f(struct s { int a; unsigned : 32; } x)";
    assert_eq!(lines(agreed, Abi::SysvX86_64)[0], "x 8 bytes in rdi");
}

#[test]
fn arrays_without_elements_count_as_gcc_has_it() {
    let no_elements = "struct a { float x; int none[0]; }";
    let text = format!(
        "{no_elements} f({no_elements} odd, struct b {{ float x, y; int none[0]; }} even, \
         struct c {{ int x; struct {{ int y[4]; }} none[0]; }} large, struct d {{ }} empty, \
         struct e {{ long x; long double tail[]; }} tail, struct g {{ float x; char tail[]; }} last)"
    );
    let expected = [
        "odd 4 bytes in rdi",
        "even 8 bytes in xmm0",
        "large 4 bytes in stack+0",
        "empty nothing",
        "tail 8 bytes in rsi",
        "last 4 bytes in xmm1",
        "result 4 bytes in rax",
    ];
    assert_eq!(lines(&text, Abi::SysvX86_64), expected);
    // No aggregate with such an array is homogeneous; others without bytes are nothing.
    let text = format!(
        "{no_elements} f(int first, struct e {{ long x; long double tail[]; }} tail, \
         struct g {{ double x; double tail[]; }} last, struct h {{ float x; struct {{ }} e[2]; }} h)"
    );
    let expected = [
        "first 4 bytes in x0",
        "tail bytes 0..8 in x2, bytes 8..16 in x3",
        "last 8 bytes in x4",
        "h 4 bytes in v0",
        "result 4 bytes in x0",
    ];
    assert_eq!(lines(&text, Abi::Aapcs64), expected);
}

#[test]
fn an_error_says_where() {
    let text = "void f(int a, struct s { char b[sizeof(int) - 5]; } c)";
    for abi in Abi::ALL {
        let error = assign(&parse(text), &Scope::default(), abi).expect_err("negative");
        assert_eq!(error.to_string(), "the length of this array is -1");
        let start = usize::try_from(error.span().start).expect("small");
        assert!(text[start..].starts_with("char b"), "{error:?}");
    }
}

#[test]
fn too_many_arguments_are_an_error() {
    let many = function(INT, vec![INT; 140_000]);
    let large = "void f(struct s { char bytes[2097152]; } x)";
    for abi in Abi::ALL {
        let error = assign(&many, &Scope::default(), abi).expect_err("too many");
        assert!(matches!(error, AbiError::TooMuchStack { .. }), "{error}");
    }
    assert!(refusal(large, Abi::SysvX86_64).contains("1048576 bytes of stack"));
    assert_eq!(lines(large, Abi::Aapcs64)[0], "x in memory, address in x0");
}

fn ident(name: &str) -> Ident {
    Ident { name: Arc::from(name), span: Span::default() }
}

#[test]
fn records_by_tag_take_linear_time() {
    // Each of these unions holds the one before twice.
    let mut scope = Scope::default();
    let mut inner = ty(TypeKind::Float(Float::Double));
    for level in 0..60 {
        let tag = ident(&format!("u{level}"));
        let field = |name: &str, of: &Type| Field {
            name: Some(ident(name)),
            ty: of.clone(),
            bits: None,
            align: None,
        };
        let fields = vec![field("x", &inner), field("y", &inner)];
        let body = Arc::new(RecordBody { fields, packed: false, align: None });
        scope.records.insert((RecordKind::Union, Arc::clone(&tag.name)), body);
        inner =
            ty(TypeKind::Record(Record { kind: RecordKind::Union, tag: Some(tag), body: None }));
    }
    let function = function(TypeKind::Void, vec![inner.kind]);
    for abi in Abi::ALL {
        let assignment = assign(&function, &scope, abi).expect("assigns");
        let pieces = &assignment.params[0].pieces;
        assert_eq!(pieces[..], [Piece { offset: 0, size: 8, location: Location::Vector(0) }]);
    }
}
