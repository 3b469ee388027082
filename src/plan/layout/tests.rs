//! Layouts of hand-picked types. Random ones are compared with what compilers do in
//! `tests/abi`.
use super::*;
use crate::signature::{
    Expr, ExprKind, Field, Ident, Qualifiers, RecordBody, RecordKind, parse_declaration,
};
use std::sync::Arc;

fn ty(kind: TypeKind) -> Type {
    Type {
        kind,
        quals: Qualifiers::default(),
        notes: Vec::new(),
        alias: None,
        span: Span::default(),
    }
}

fn ident(name: &str) -> Ident {
    Ident { name: Arc::from(name), span: Span::default() }
}

fn field(name: &str, of: Type) -> Field {
    Field { name: Some(ident(name)), ty: of, bits: None, align: None }
}

fn record(tag: &str, body: Option<RecordBody>) -> Record {
    Record { kind: RecordKind::Struct, tag: Some(ident(tag)), body: body.map(Arc::new) }
}

fn body(fields: Vec<Field>) -> RecordBody {
    RecordBody { fields, packed: false, align: None }
}

fn array(element: Type, length: i128) -> Type {
    let length = Some(Expr { kind: ExprKind::Integer(length), span: Span::default() });
    ty(TypeKind::Array { element: Box::new(element), length })
}

/// The type of a parameter that is declared like this.
fn parse(declaration: &str) -> Type {
    let text = format!("void f({declaration} x)");
    let prototype = parse_declaration(&text, &Scope::default());
    let prototype = prototype.unwrap_or_else(|errors| panic!("{errors}"));
    prototype.function.params[0].ty.clone()
}

fn both(of: &Type) -> Layout {
    layout_of(of, &Scope::default(), DataModel::Ilp32).expect("has a layout")
}

fn refusal(of: &Type) -> LayoutErrorKind {
    layout_of(of, &Scope::default(), DataModel::Ilp32).expect_err("has no layout").kind
}

#[test]
fn long_and_pointers_follow_the_data_model() {
    for declaration in ["long", "size_t", "void *", "const char *", "intptr_t"] {
        let layout = both(&parse(declaration));
        assert_eq!(layout.guest, Extent { size: 4, align: 4 }, "{declaration}");
        assert_eq!(layout.host, Extent { size: 8, align: 8 }, "{declaration}");
    }
    let wide = layout_of(&parse("long"), &Scope::default(), DataModel::Lp64).expect("a layout");
    assert_eq!(wide.guest, wide.host);
}

#[test]
fn every_other_scalar_is_the_same_everywhere() {
    let sizes = [
        ("bool", 1),
        ("char", 1),
        ("short", 2),
        ("int", 4),
        ("enum { A }", 4),
        ("long long", 8),
        ("int64_t", 8),
        ("float", 4),
        ("double", 8),
        ("long double", 16),
        ("__int128", 16),
    ];
    for (declaration, size) in sizes {
        let of = parse(declaration);
        let expected = Extent { size: size.into(), align: size };
        assert_eq!(both(&of), Layout { guest: expected, host: expected }, "{declaration}");
        let scalar = scalar_of(&of).expect("is a scalar");
        assert_eq!((scalar.host_size(), scalar.guest_size(DataModel::Ilp32)), (size, size));
    }
}

#[test]
fn an_enum_is_as_wide_as_its_values() {
    let of = parse("enum : unsigned char { A }");
    assert_eq!(scalar_of(&of), Some(Scalar::Integer(Integer::UnsignedChar)));
    assert_eq!(both(&of).host.size, 1);
}

#[test]
fn what_is_no_scalar_says_so() {
    for declaration in ["struct { int a; }", "double _Complex"] {
        assert_eq!(scalar_of(&parse(declaration)), None, "{declaration}");
    }
    assert_eq!(scalar_of(&ty(TypeKind::Void)), None);
}

#[test]
fn fields_stand_at_both_offsets() {
    let of = parse("struct s { char tag; long length; void *data; short kind; }");
    let TypeKind::Record(record) = &of.kind else { panic!("a record") };
    let layout = record_layout(record, of.span, &Scope::default(), DataModel::Ilp32);
    let layout = layout.expect("has a layout");
    let offsets: Vec<(u64, u64)> =
        layout.fields.iter().map(|f| (f.guest.offset, f.host.offset)).collect();
    assert_eq!(offsets, [(0, 0), (4, 8), (8, 16), (12, 24)]);
    assert_eq!(layout.whole.guest, Extent { size: 16, align: 4 });
    assert_eq!(layout.whole.host, Extent { size: 32, align: 8 });
}

#[test]
fn bit_fields_share_bytes_and_do_not_straddle_their_type() {
    let of = parse("struct { unsigned a : 3; unsigned b : 30; unsigned char c : 4; }");
    let TypeKind::Record(record) = &of.kind else { panic!("a record") };
    let target = Target::Host(Abi::SysvX86_64);
    let (whole, places) = record_on(record, of.span, &Scope::default(), target).expect("layout");
    let bits: Vec<(u64, Option<BitRange>)> = places.iter().map(|p| (p.offset, p.bits)).collect();
    let range = |shift, width| Some(BitRange { shift, width });
    assert_eq!(bits, [(0, range(0, 3)), (4, range(0, 30)), (8, range(0, 4))]);
    assert_eq!(whole, Extent { size: 12, align: 4 });
}

#[test]
fn sizeof_in_a_length_is_that_of_the_memory() {
    // What clang does for a guest, and gcc for the host.
    let of = parse("struct { char padding[16 - sizeof(long)]; }");
    let layout = both(&of);
    assert_eq!((layout.guest.size, layout.host.size), (12, 8));
}

#[test]
fn types_without_a_size_say_which() {
    assert_eq!(refusal(&ty(TypeKind::Void)), LayoutErrorKind::Void);
    let opaque = ty(TypeKind::Record(record("sqlite3", None)));
    assert_eq!(
        refusal(&opaque).to_string(),
        "`struct sqlite3` is incomplete here: its size is not known"
    );
    let open = Box::new(ty(TypeKind::Integer(Integer::Int)));
    let open = ty(TypeKind::Array { element: open, length: None });
    assert_eq!(refusal(&open), LayoutErrorKind::UnsizedArray);
    assert_eq!(refusal(&array(ty(TypeKind::Bool), -1)), LayoutErrorKind::NegativeLength(-1));
}

#[test]
fn an_error_points_at_the_field() {
    let text = "void f(struct { int first; char second[sizeof(int) - 5]; } x)";
    let prototype = parse_declaration(text, &Scope::default());
    let prototype = prototype.unwrap_or_else(|errors| panic!("{errors}"));
    let of = &prototype.function.params[0].ty;
    let error = layout_of(of, &Scope::default(), DataModel::Lp64).expect_err("negative");
    assert_eq!(error.kind, LayoutErrorKind::NegativeLength(-1));
    let at = |offset| usize::try_from(offset).expect("small");
    assert!(text[at(error.span.start)..at(error.span.end)].starts_with("char"), "{error:?}");
}

#[test]
fn records_that_contain_themselves_are_refused() {
    let mut scope = Scope::default();
    let mention = |tag| ty(TypeKind::Record(record(tag, None)));
    for (tag, other) in [("a", "b"), ("b", "a"), ("c", "c")] {
        let body = body(vec![field("inner", array(mention(other), 2))]);
        scope.records.insert((RecordKind::Struct, Arc::from(tag)), Arc::new(body));
    }
    for tag in ["a", "b", "c"] {
        let error = layout_of(&mention(tag), &scope, DataModel::Lp64).expect_err("recursive");
        assert_eq!(error.kind, LayoutErrorKind::Recursive(format!("struct {tag}")));
    }
    let list = body(vec![field("next", ty(TypeKind::Pointer(Box::new(mention("list")))))]);
    scope.records.insert((RecordKind::Struct, Arc::from("list")), Arc::new(list));
    assert!(layout_of(&mention("list"), &scope, DataModel::Lp64).is_ok());
}

#[test]
fn records_by_tag_take_linear_time() {
    // Each of these holds the one before twice: 2^60 members, of which none takes room.
    let mut scope = Scope::default();
    let empty = array(ty(TypeKind::Integer(Integer::Int)), 0);
    let mut inner = empty;
    for level in 0..60 {
        let tag: Arc<str> = Arc::from(format!("r{level}"));
        let body = body(vec![field("x", inner.clone()), field("y", inner)]);
        scope.records.insert((RecordKind::Struct, Arc::clone(&tag)), Arc::new(body));
        inner = ty(TypeKind::Record(record(&tag, None)));
    }
    let layout = layout_of(&inner, &scope, DataModel::Lp64).expect("has a layout");
    assert_eq!(layout.host, Extent { size: 0, align: 4 });
}

#[test]
fn sizes_that_overflow_are_errors() {
    let int = || ty(TypeKind::Integer(Integer::Int));
    let huge = |length| array(int(), length);
    let too_large = |kind: LayoutErrorKind| matches!(kind, LayoutErrorKind::TooLarge { .. });
    for length in [i128::MAX, u64::MAX.into(), 1 << 62, 1 << 61, 1 << 46, 1 << 29] {
        assert!(too_large(refusal(&huge(length))), "{length}");
    }
    assert!(too_large(refusal(&array(huge(1 << 20), 1 << 20))));
    let half = || field("half", array(ty(TypeKind::Bool), (1 << 30) + 1));
    assert!(too_large(refusal(&ty(TypeKind::Record(record(
        "r",
        Some(body(vec![half(), half()]))
    ))))));
    let mut aligned = body(vec![half()]);
    aligned.align = Some(1 << 31);
    assert!(too_large(refusal(&ty(TypeKind::Record(record("r", Some(aligned)))))));
    // What fits on the host alone is refused for the guest alone.
    let extent = |target| extent_of(&huge(1 << 30), &Scope::default(), target);
    assert!(extent(Target::Host(Abi::SysvX86_64)).is_ok());
    assert!(extent(Target::Guest(DataModel::Lp64)).is_ok());
    let error = extent(Target::Guest(DataModel::Ilp32)).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "this type is larger than the 2147483647 bytes that an object may have in the guest's memory"
    );
}

#[test]
fn deep_nesting_is_an_error() {
    let mut of = ty(TypeKind::Bool);
    for _ in 0..1000 {
        of = array(of, 1);
    }
    assert!(matches!(refusal(&of), LayoutErrorKind::TooDeep(_)));
}

#[test]
fn bad_bit_fields_and_alignments_are_errors() {
    let with = |change: fn(&mut Field)| {
        let mut field = field("f", ty(TypeKind::Integer(Integer::Int)));
        change(&mut field);
        refusal(&ty(TypeKind::Record(record("r", Some(body(vec![field]))))))
    };
    assert_eq!(
        with(|f| f.bits = Some(33)),
        LayoutErrorKind::BitFieldWidth { width: 33, available: 32 }
    );
    assert_eq!(with(|f| f.bits = Some(0)), LayoutErrorKind::BitFieldEmpty);
    assert_eq!(with(|f| f.align = Some(3)), LayoutErrorKind::BadAlignment(3));
    let aligned = with(|f| {
        f.bits = Some(1);
        f.align = Some(8);
    });
    assert_eq!(aligned, LayoutErrorKind::BitFieldAlignment);
    let pointer = with(|f| {
        f.bits = Some(1);
        f.ty.kind = TypeKind::Pointer(Box::new(ty(TypeKind::Void)));
    });
    assert_eq!(pointer, LayoutErrorKind::BitFieldType);
}

#[test]
fn a_flexible_array_is_the_last_field_of_a_struct() {
    let open = || {
        let element = Box::new(ty(TypeKind::Integer(Integer::LongLong)));
        field("rest", ty(TypeKind::Array { element, length: None }))
    };
    let first = || field("first", ty(TypeKind::Bool));
    let last = ty(TypeKind::Record(record("r", Some(body(vec![first(), open()])))));
    assert_eq!(both(&last).host, Extent { size: 8, align: 8 });
    let early = record("r", Some(body(vec![open(), first()])));
    assert_eq!(refusal(&ty(TypeKind::Record(early))), LayoutErrorKind::FlexibleArrayNotLast);
    let union_ = Record { kind: RecordKind::Union, ..record("r", Some(body(vec![open()]))) };
    assert_eq!(refusal(&ty(TypeKind::Record(union_))), LayoutErrorKind::FlexibleArrayNotLast);
}

#[test]
fn atomics_are_aligned_to_their_size_where_compilers_agree() {
    let atomic = |mut of: Type| {
        of.quals.is_atomic = true;
        of
    };
    let pair = atomic(parse("struct { int a; int b; }"));
    assert_eq!(both(&pair).host, Extent { size: 8, align: 8 });
    let four = atomic(parse("struct { int a; int b; int c; int d; }"));
    assert_eq!(both(&four).host.align, 16);
    assert_eq!(both(&four).guest.align, 4);
    let three = atomic(parse("struct { char a; char b; char c; }"));
    assert_eq!(refusal(&three), LayoutErrorKind::Atomic(3));
}

#[test]
fn the_description_shows_every_memory() {
    let of = parse("struct s { long a; unsigned b : 3, : 0, c : 7; union { char d; void *e; }; }");
    let text = describe(&of, &Scope::default(), Abi::SysvX86_64).expect("has a layout");
    let expected = [
        "              wasm32             wasm64             System V x86-64",
        "struct s      size 16, align 4   size 24, align 8   size 24, align 8",
        "  a           0..4               0..8               0..8",
        "  b           4 bits 0..3        8 bits 0..3        8 bits 0..3",
        "  (unnamed)   8 bits 0..0        12 bits 0..0       12 bits 0..0",
        "  c           8 bits 0..7        12 bits 0..7       12 bits 0..7",
        "  union       12..16             16..24             16..24",
        "    d         12..13             16..17             16..17",
        "    e         12..16             16..24             16..24",
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, expected);
}
