//! Layouts of hand-picked types. Random ones are compared with what compilers do in
//! `tests/layouts.rs`.
use super::*;
use crate::signature::Qualifiers;

fn ty(kind: TypeKind) -> Type {
    Type {
        kind,
        quals: Qualifiers::default(),
        notes: Vec::new(),
        alias: None,
        span: Span::default(),
    }
}

#[test]
fn long_and_pointers_follow_the_data_model() {
    let scope = Scope::default();
    for kind in [
        TypeKind::Integer(Integer::Long),
        TypeKind::Integer(Integer::UnsignedLong),
        TypeKind::Pointer(Box::new(ty(TypeKind::Void))),
    ] {
        let layout = layout_of(&ty(kind), &scope, DataModel::Ilp32).expect("has a layout");
        assert_eq!(layout.guest, Extent { size: 4, align: 4 });
        assert_eq!(layout.host, Extent { size: 8, align: 8 });
    }
}

#[test]
fn void_and_functions_have_no_size() {
    let scope = Scope::default();
    let error = layout_of(&ty(TypeKind::Void), &scope, DataModel::Lp64).expect_err("no size");
    assert_eq!(error.kind, LayoutErrorKind::Void);
}
