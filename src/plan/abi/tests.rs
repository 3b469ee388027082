//! Assignments of hand-picked signatures. Random ones are compared with what compilers do in
//! `tests/assignments.rs`.
use super::*;
use crate::signature::{Param, Qualifiers};

pub(super) fn ty(kind: TypeKind) -> Type {
    Type {
        kind,
        quals: Qualifiers::default(),
        notes: Vec::new(),
        alias: None,
        span: Span::default(),
    }
}

pub(super) fn function(result: TypeKind, params: Vec<TypeKind>) -> Function {
    let param = |kind| Param { name: None, ty: ty(kind), span: Span::default() };
    Function {
        result: ty(result),
        params: params.into_iter().map(param).collect(),
        variadic: Variadic::No,
    }
}

const INT: TypeKind = TypeKind::Integer(Integer::Int);
const DOUBLE: TypeKind = TypeKind::Float(Float::Double);

fn text(function: &Function, abi: Abi) -> String {
    let assignment = assign(function, &Scope::default(), abi).expect("assigns");
    describe(&assignment, function, abi)
}

#[test]
fn registers_then_the_stack_in_order() {
    let mut params = vec![INT; 8];
    params.extend(vec![DOUBLE; 9]);
    params.push(TypeKind::Pointer(Box::new(ty(TypeKind::Void))));
    let function = function(DOUBLE, params);
    let expected = "\
System V x86-64: 6 integer registers, 8 vector registers, 32 bytes of stack
  (1)       4 bytes in rdi
  (2)       4 bytes in rsi
  (3)       4 bytes in rdx
  (4)       4 bytes in rcx
  (5)       4 bytes in r8
  (6)       4 bytes in r9
  (7)       4 bytes in stack+0
  (8)       4 bytes in stack+8
  (9)       8 bytes in xmm0
  (10)      8 bytes in xmm1
  (11)      8 bytes in xmm2
  (12)      8 bytes in xmm3
  (13)      8 bytes in xmm4
  (14)      8 bytes in xmm5
  (15)      8 bytes in xmm6
  (16)      8 bytes in xmm7
  (17)      8 bytes in stack+16
  (18)      8 bytes in stack+24
  result    8 bytes in xmm0
";
    assert_eq!(text(&function, Abi::SysvX86_64), expected);
}

#[test]
fn a_typed_tail_is_assigned_after_the_named_parameters() {
    let mut function = function(INT, vec![INT]);
    function.variadic = Variadic::Typed(vec![ty(DOUBLE), ty(INT)]);
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
fn too_many_arguments_are_an_error() {
    let function = function(INT, vec![INT; 140_000]);
    for abi in Abi::ALL {
        let error = assign(&function, &Scope::default(), abi).expect_err("too many");
        assert!(matches!(error, AbiError::TooMuchStack { .. }), "{error}");
    }
}
