//! Printing and reading are inverse, for prototypes made of everything that the language has, and
//! no text at all makes the parser panic.
//!
//! The generator does not care whether annotations make sense where they stand; that is what
//! `check` is for, and it is left out here. Bodies of records are checked as they are read, so
//! their fields carry only what any field may.
use super::super::builtin::plain;
use super::super::{
    BinaryOp, Builtin, Captor, Enum, Expr, ExprKind, Field, Float, Function, Integer, Lender, Note,
    NoteKind, Param, Prototype, Qualifiers, Record, RecordBody, RecordKind, Type, TypeKind,
    UnaryOp, Variadic, fold,
};
use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn ident(name: &str) -> Ident {
    Ident { name: name.into(), span: Span::default() }
}

fn name() -> impl Strategy<Value = Ident> {
    prop::sample::select(vec!["buf", "len", "n", "db", "static_", "x1", "Cb", "__v", "_"])
        .prop_map(ident)
}

fn qualifiers() -> impl Strategy<Value = Qualifiers> {
    prop_oneof![
        3 => Just(Qualifiers::default()),
        1 => any::<[bool; 4]>().prop_map(|[is_const, is_volatile, is_restrict, is_atomic]| {
            Qualifiers { is_const, is_volatile, is_restrict, is_atomic }
        }),
    ]
}

fn integer() -> impl Strategy<Value = Integer> {
    use Integer::{
        Char, Int, Int128, Long, LongLong, Short, SignedChar, UnsignedChar, UnsignedInt,
        UnsignedInt128, UnsignedLong, UnsignedLongLong, UnsignedShort,
    };
    prop::sample::select(vec![
        Char,
        SignedChar,
        UnsignedChar,
        Short,
        UnsignedShort,
        Int,
        UnsignedInt,
        Long,
        UnsignedLong,
        LongLong,
        UnsignedLongLong,
        Int128,
        UnsignedInt128,
    ])
}

fn float() -> impl Strategy<Value = Float> {
    prop::sample::select(vec![Float::Float, Float::Double, Float::LongDouble])
}

/// Folded, as the parser folds; what cannot be folded is replaced.
fn folded(kind: ExprKind) -> Expr {
    fold::expr(kind, Span::default())
        .unwrap_or_else(|_| Expr { kind: ExprKind::Return, span: Span::default() })
}

fn expr() -> impl Strategy<Value = Expr> {
    let value = prop_oneof![-9i128..99, Just(i128::from(i64::MIN)), Just(i128::from(u64::MAX))];
    let leaf = prop_oneof![
        value.prop_map(ExprKind::Integer),
        name().prop_map(ExprKind::Name),
        Just(ExprKind::Return),
        scalar().prop_map(|ty| ExprKind::SizeOf(Box::new(ty))),
    ];
    leaf.prop_map(folded).prop_recursive(5, 40, 3, |inner| {
        use BinaryOp::{
            Add, And, BitAnd, BitOr, BitXor, Divide, Equal, Greater, GreaterEqual, Less, LessEqual,
            Multiply, NotEqual, Or, Remainder, ShiftLeft, ShiftRight, Subtract,
        };
        let one = || inner.clone().prop_map(Box::new);
        let unary = vec![UnaryOp::Negate, UnaryOp::Complement, UnaryOp::Not];
        let binary = vec![
            Multiply,
            Divide,
            Remainder,
            Add,
            Subtract,
            ShiftLeft,
            ShiftRight,
            Less,
            LessEqual,
            Greater,
            GreaterEqual,
            Equal,
            NotEqual,
            BitAnd,
            BitXor,
            BitOr,
            And,
            Or,
        ];
        let several = prop::sample::select(vec![Builtin::Min, Builtin::Max]);
        prop_oneof![
            one().prop_map(ExprKind::Deref),
            (one(), name()).prop_map(|(e, field)| ExprKind::Member(e, field)),
            (one(), name()).prop_map(|(e, field)| ExprKind::Arrow(e, field)),
            (prop::sample::select(unary), one()).prop_map(|(op, e)| ExprKind::Unary(op, e)),
            (prop::sample::select(binary), one(), one())
                .prop_map(|(op, a, b)| ExprKind::Binary(op, a, b)),
            (one(), one(), one()).prop_map(|(c, a, b)| ExprKind::Conditional(c, a, b)),
            (several, vec(inner.clone(), 2..4)).prop_map(|(f, args)| ExprKind::Builtin(f, args)),
            inner.clone().prop_map(|e| ExprKind::Builtin(Builtin::Abs, vec![e])),
            (name(), vec(inner, 0..3)).prop_map(|(f, args)| ExprKind::Call(f, args)),
        ]
        .prop_map(folded)
    })
}

/// Annotations of a type.
fn note() -> impl Strategy<Value = Note> {
    let with_expr = prop_oneof![
        expr().prop_map(NoteKind::CountedBy),
        expr().prop_map(NoteKind::SizedBy),
        expr().prop_map(NoteKind::CountedByOrNull),
        (expr(), expr()).prop_map(|(low, high)| NoteKind::Range(low, high)),
        expr().prop_map(|value| NoteKind::Range(value.clone(), value)),
        expr().prop_map(NoteKind::Value),
        expr().prop_map(NoteKind::ConsumesIf),
        (name(), expr()).prop_map(|(name, e)| NoteKind::Remember(name, e)),
        expr().prop_map(NoteKind::OnTrap),
    ];
    let with_name = prop_oneof![
        name().prop_map(NoteKind::TerminatedBy),
        name().prop_map(NoteKind::Drop),
        name().prop_map(|name| NoteKind::LifetimeBound(Lender::Param(name))),
        name().prop_map(|name| NoteKind::CapturedBy(Captor::Param(name))),
        name().prop_map(NoteKind::FreedBy),
        name().prop_map(NoteKind::Closure),
    ];
    let bare = prop::sample::select(vec![
        NoteKind::Single,
        NoteKind::NullTerminated,
        NoteKind::Nullable,
        NoteKind::Nonnull,
        NoteKind::In,
        NoteKind::Out,
        NoteKind::Inout,
        NoteKind::Consumes,
        NoteKind::Retains,
        NoteKind::Borrowed,
        NoteKind::LifetimeBound(Lender::Static),
        NoteKind::Invalidates,
        NoteKind::CapturedBy(Captor::Return),
        NoteKind::CapturedBy(Captor::Global),
        NoteKind::Boxed,
        NoteKind::Private,
        NoteKind::Exclusive,
        NoteKind::Handle,
        NoteKind::Cookie,
        NoteKind::HostOnly,
    ]);
    prop_oneof![with_expr, with_name, bare].prop_map(|kind| Note { kind, span: Span::default() })
}

/// Annotations of a function.
fn function_note() -> impl Strategy<Value = Note> {
    prop_oneof![
        expr().prop_map(NoteKind::Requires),
        (0u32..256, 0u32..256).prop_map(|(m, n)| NoteKind::Format(m, n)),
        any::<u64>().prop_map(NoteKind::Fuel),
        prop::sample::select(vec![
            NoteKind::Leaf,
            NoteKind::Errno,
            NoteKind::Const,
            NoteKind::Pure
        ]),
    ]
    .prop_map(|kind| Note { kind, span: Span::default() })
}

/// A type without annotations and without anything behind it.
fn scalar() -> impl Strategy<Value = Type> {
    let kind = prop_oneof![
        Just(TypeKind::Bool),
        integer().prop_map(TypeKind::Integer),
        float().prop_map(TypeKind::Float),
        float().prop_map(TypeKind::Complex),
        (integer(), 0u32..7).prop_map(|(lane, log)| TypeKind::Vector {
            lane: Box::new(plain(TypeKind::Integer(lane))),
            bytes: 1 << log,
        }),
    ];
    (kind, qualifiers()).prop_map(|(kind, quals)| Type { quals, ..plain(kind) })
}

/// Tags and constants of one prototype must differ: they carry a number that hardly repeats.
fn enumeration() -> impl Strategy<Value = TypeKind> {
    let values = vec(-99i128..99, 1..4);
    (any::<u64>(), any::<bool>(), option::of(Just(Integer::LongLong)), values).prop_map(
        |(number, tagged, fixed, values)| {
            let negative = values.iter().any(|value| *value < 0);
            let usual = if negative { Integer::Int } else { Integer::UnsignedInt };
            let constants = values.iter().enumerate();
            TypeKind::Enum(Arc::new(Enum {
                tag: tagged.then(|| ident(&format!("e{number}"))),
                underlying: fixed.unwrap_or(usual),
                constants: constants
                    .map(|(at, value)| (ident(&format!("E{number}_{at}")), *value))
                    .collect(),
            }))
        },
    )
}

fn field(ty: impl Strategy<Value = Type>) -> impl Strategy<Value = Field> {
    let array = (ty, option::of(1i128..9)).prop_map(|(element, length)| match length {
        None => element,
        Some(length) => {
            let length = Some(folded(ExprKind::Integer(length)));
            plain(TypeKind::Array { element: Box::new(element), length })
        }
    });
    let notes =
        prop::sample::subsequence(vec![NoteKind::In, NoteKind::HostOnly, NoteKind::Private], 0..3);
    let whole = (array, notes, option::of(0u32..6)).prop_map(|(mut ty, notes, align)| {
        ty.notes = notes.into_iter().map(|kind| Note { kind, span: Span::default() }).collect();
        Field { name: None, ty, bits: None, align: align.map(|log| 1 << log) }
    });
    let bits = (1u32..8).prop_map(|bits| Field {
        name: None,
        ty: plain(TypeKind::Integer(Integer::UnsignedInt)),
        bits: Some(bits),
        align: None,
    });
    prop_oneof![4 => whole, 1 => bits]
}

fn record(ty: impl Strategy<Value = Type>) -> impl Strategy<Value = TypeKind> {
    let fields = vec(field(ty), 1..4);
    let kind = prop::sample::select(vec![RecordKind::Struct, RecordKind::Union]);
    (kind, any::<u64>(), any::<bool>(), fields, any::<bool>(), option::of(0u32..6)).prop_map(
        |(kind, number, tagged, mut fields, packed, align)| {
            for (at, field) in fields.iter_mut().enumerate() {
                field.name = Some(ident(&format!("f{at}")));
            }
            let align = align.map(|log| 1 << log);
            TypeKind::Record(Record {
                kind,
                tag: tagged.then(|| ident(&format!("r{number}"))),
                body: Some(Arc::new(RecordBody { fields, packed, align })),
            })
        },
    )
}

/// A type that a field can have.
fn member() -> impl Strategy<Value = Type> {
    let opaque = Just(TypeKind::Pointer(Box::new(plain(TypeKind::Record(Record {
        kind: RecordKind::Struct,
        tag: Some(ident("opaque")),
        body: None,
    })))));
    prop_oneof![scalar().prop_map(|ty| ty.kind), enumeration(), opaque].prop_map(plain)
}

fn base() -> impl Strategy<Value = Type> {
    let opaque = prop::sample::select(vec![RecordKind::Struct, RecordKind::Union])
        .prop_map(|kind| TypeKind::Record(Record { kind, tag: Some(ident("opaque")), body: None }));
    let kind = prop_oneof![
        6 => scalar().prop_map(|ty| ty.kind),
        1 => opaque,
        1 => enumeration(),
        1 => record(prop_oneof![3 => member(), 1 => record(member()).prop_map(plain)]),
    ];
    (kind, qualifiers(), vec(note(), 0..2)).prop_map(|(kind, quals, notes)| Type {
        quals,
        notes,
        ..plain(kind)
    })
}

/// Any type that a parameter can have.
fn ty() -> impl Strategy<Value = Type> {
    base().prop_recursive(3, 20, 4, |inner| {
        let pointer =
            (inner.clone(), qualifiers(), vec(note(), 0..3)).prop_map(|(pointee, quals, notes)| {
                Type { quals, notes, ..plain(TypeKind::Pointer(Box::new(pointee))) }
            });
        let array = (inner.clone(), option::of(expr()), vec(note(), 0..2)).prop_map(
            |(element, length, notes)| {
                let array = plain(TypeKind::Array { element: Box::new(element), length });
                Type { notes, ..plain(TypeKind::Pointer(Box::new(array))) }
            },
        );
        let callback = (function(inner), qualifiers(), vec(note(), 0..2)).prop_map(
            |(function, quals, notes)| {
                let function = plain(TypeKind::Function(Box::new(function)));
                Type { quals, notes, ..plain(TypeKind::Pointer(Box::new(function))) }
            },
        );
        prop_oneof![3 => pointer, 1 => array, 1 => callback]
    })
}

fn function(ty: impl Strategy<Value = Type> + Clone) -> impl Strategy<Value = Function> {
    let result = prop_oneof![1 => Just(plain(TypeKind::Void)), 3 => ty.clone()];
    let param = (option::of(name()), ty.clone()).prop_map(|(name, ty)| Param {
        name,
        ty,
        span: Span::default(),
    });
    let variadic = prop_oneof![
        4 => Just(Variadic::No),
        1 => Just(Variadic::Untyped(Span::default())),
        1 => vec(ty, 1..3).prop_map(Variadic::Typed),
    ];
    (result, vec(param, 0..5), variadic).prop_map(|(result, params, variadic)| Function {
        result,
        params,
        variadic,
    })
}

fn prototype() -> impl Strategy<Value = Prototype> {
    let parts = (name(), function(ty().boxed()), vec(function_note(), 0..3));
    parts.prop_map(|(name, function, notes)| Prototype {
        name,
        function,
        notes,
        span: Span::default(),
        data: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn printing_and_reading_are_inverse(prototype in prototype()) {
        let whole = format!("{prototype:#}");
        prop_assume!(whole.len() < MAX_PROTOTYPE);
        let nothing = Scope::default();
        let (parsed, names, errors) = syntax(&whole, &nothing);
        prop_assert!(errors.is_empty(), "{}\n{}", whole, finish("", &whole, errors));
        prop_assert_eq!(parsed.as_ref(), Some(&prototype), "{}", whole);
        // Equality looks at tags only; the text shows bodies too.
        prop_assert_eq!(parsed.map(|parsed| format!("{parsed:#}")), Some(whole));

        let short = prototype.to_string();
        let (parsed, _, errors) = syntax(&short, &names.own);
        prop_assert!(errors.is_empty(), "{}\n{}", short, finish("", &short, errors));
        prop_assert_eq!(parsed.as_ref(), Some(&prototype), "{}", short);
        prop_assert_eq!(parsed.map(|parsed| parsed.as_written().to_string()), Some(short));
    }

    #[test]
    fn a_prototype_agrees_with_itself(prototype in prototype()) {
        prop_assert!(super::super::agree(&prototype, &prototype).is_ok());
    }
}
