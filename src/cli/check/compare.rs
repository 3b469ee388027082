//! Judges a prototype against the type that the real header gives the function.
//!
//! Three verdicts. *Agrees*: the C compiler holds the two types to be compatible. *Retyped*: they
//! are not, but a call looks the same to the machine; that is how an interface narrows a function.
//! *Differs*: a call would pass something else than the function expects.
use super::c_text::tag;
use super::header::Declared;
use super::real::Real;
use portcullis::plan::abi::Abi;
use portcullis::plan::layout::{Scalar, scalar_of};
use portcullis::signature::{Data, Prototype, Type, TypeKind, Variadic};

/// How a prototype compares with the real header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same type.
    Agrees,
    /// Another type with the same ABI: where, and how.
    Retyped(Vec<String>),
    /// Not the same ABI: where, and how.
    Differs(Vec<String>),
    /// The header does not have the function.
    Undeclared,
}

/// Compares.
pub fn compare(prototype: &Prototype, declared: &Declared, abi: Abi) -> Verdict {
    let (signature, compatible) = match declared {
        Declared::No => return Verdict::Undeclared,
        Declared::Data { compatible: true, .. } => return Verdict::Agrees,
        Declared::Data { real, compatible: false } => return data(prototype, real, abi),
        Declared::As { signature, compatible } => (signature, *compatible),
    };
    let function = &prototype.function;
    let (mut retyped, mut differs) = (Vec::new(), Vec::new());
    if !signature.prototyped {
        retyped.push("the header declares no parameters".to_owned());
    } else {
        let ours = function.params.len();
        let theirs = signature.params.len();
        if ours != theirs {
            differs.push(format!("{ours} parameters here, {theirs} in the header"));
        }
        if signature.variadic != (function.variadic != Variadic::No) {
            let here = if signature.variadic { "no `...`" } else { "`...`" };
            differs.push(format!("{here} here, the header has it otherwise"));
        }
        for (number, (param, real)) in function.params.iter().zip(&signature.params).enumerate() {
            let name = match &param.name {
                Some(name) => format!("parameter {} `{name}`", number + 1),
                None => format!("parameter {}", number + 1),
            };
            judge(&name, &param.ty, real, abi, Use::Parameter, &mut retyped, &mut differs);
        }
    }
    judge(
        "result",
        &function.result,
        &signature.result,
        abi,
        Use::Result,
        &mut retyped,
        &mut differs,
    );
    if !differs.is_empty() {
        Verdict::Differs(differs)
    } else if compatible {
        Verdict::Agrees
    } else {
        Verdict::Retyped(retyped)
    }
}

/// Data whose type the compiler does not hold to be the same.
fn data(prototype: &Prototype, real: &Real, abi: Abi) -> Verdict {
    let (mut retyped, mut differs) = (Vec::new(), Vec::new());
    if prototype.data == Some(Data::Array) {
        differs.push(format!("an array here, `{real}` in the header"));
    } else {
        let ours = &prototype.function.result;
        judge("data", ours, real, abi, Use::Result, &mut retyped, &mut differs);
    }
    if differs.is_empty() { Verdict::Retyped(retyped) } else { Verdict::Differs(differs) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Parameter,
    Result,
}

fn judge(
    what: &str,
    ours: &Type,
    real: &Real,
    abi: Abi,
    usage: Use,
    retyped: &mut Vec<String>,
    differs: &mut Vec<String>,
) {
    if same(ours, real, abi, true) {
        return;
    }
    let say = || format!("{what}: {} here, {real} in the header", ours.as_written());
    let (here, there) = (Class::of_ours(ours, abi), Class::of_real(real));
    // A result that nobody looks at does no harm.
    let ignored = usage == Use::Result && here == Some(Class::Void);
    match (here, there) {
        (Some(here), Some(there)) if here.passes_as(there) || ignored => {
            if points_elsewhere(ours, real, abi) {
                differs.push(say())
            } else {
                retyped.push(say())
            }
        }
        (_, _) => differs.push(say()),
    }
}

/// What a value is to the C ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Void,
    /// Only 0 and 1 are values, so that no other integer may stand for it.
    Bool,
    /// Integers and pointers.
    Integer {
        size: u64,
        signed: bool,
    },
    Float {
        size: u64,
    },
}

impl Class {
    /// `None` for what is not one scalar.
    fn of_ours(ty: &Type, abi: Abi) -> Option<Class> {
        if ty.kind == TypeKind::Void {
            return Some(Class::Void);
        }
        let scalar = scalar_of(ty)?;
        let size = u64::from(scalar.host_size());
        Some(match scalar {
            Scalar::Bool => Class::Bool,
            Scalar::Integer(_) => Class::Integer { size, signed: abi.is_signed(scalar) },
            Scalar::Float(_) => Class::Float { size },
            Scalar::Pointer => Class::Integer { size, signed: false },
        })
    }

    /// The same of the compiler's type.
    fn of_real(real: &Real) -> Option<Class> {
        Some(match real.bare() {
            Real::Void => Class::Void,
            Real::Bool => Class::Bool,
            Real::Integer { size, signed, .. } => Class::Integer { size: *size, signed: *signed },
            Real::Float { size, .. } => Class::Float { size: *size },
            Real::Pointer(_) => Class::Integer { size: 8, signed: false },
            Real::Function(_)
            | Real::Record { .. }
            | Real::Other(_)
            | Real::Typedef { .. }
            | Real::Qualified { .. } => return None,
        })
    }

    /// Whether the machine sees no difference.
    fn passes_as(self, other: Class) -> bool {
        match (self, other) {
            // Only below 32 bits does the caller extend, by sign or by zeros.
            (Class::Integer { size, signed }, Class::Integer { size: s, signed: t }) => {
                size == s && (size >= 4 || signed == t)
            }
            (a, b) => a == b,
        }
    }
}

/// Whether two types are the same but for the spelling of integers of one size. At the outermost
/// level qualifiers do not matter: the callee gets a copy.
fn same(ours: &Type, real: &Real, abi: Abi, outermost: bool) -> bool {
    if !outermost && ours.quals.is_const != real.is_const() {
        return false;
    }
    match (&ours.kind, real.bare()) {
        (TypeKind::Pointer(ours), Real::Pointer(real)) => same(ours, real, abi, false),
        (TypeKind::Record(record), Real::Record { tag: Some(real) }) => tag(record) == *real,
        (TypeKind::Function(ours), Real::Function(real)) => {
            ours.params.len() == real.params.len()
                && same(&ours.result, &real.result, abi, true)
                && ours
                    .params
                    .iter()
                    .zip(&real.params)
                    .all(|(ours, real)| same(&ours.ty, real, abi, true))
        }
        _ => match (Class::of_ours(ours, abi), Class::of_real(real)) {
            (Some(a), Some(b)) => {
                a == b && (scalar_of(ours) == Some(Scalar::Pointer)) == is_pointer(real)
            }
            _ => false,
        },
    }
}

/// Whether both are pointers to objects of known but different sizes: the call would look right, and
/// the function would read or write past them. Bytes may stand for anything: their number is what
/// the annotations say.
fn points_elsewhere(ours: &Type, real: &Real, abi: Abi) -> bool {
    let (TypeKind::Pointer(ours), Real::Pointer(real)) = (&ours.kind, real.bare()) else {
        return false;
    };
    match (Class::of_ours(ours, abi), Class::of_real(real)) {
        (Some(Class::Void | Class::Integer { size: 1, .. }), _) | (_, Some(Class::Void)) => false,
        (Some(here), Some(there)) => here != there || points_elsewhere(ours, real, abi),
        _ => false,
    }
}

fn is_pointer(real: &Real) -> bool {
    matches!(real.bare(), Real::Pointer(_))
}

#[cfg(test)]
mod tests {
    use super::super::real::Signature;
    use super::*;
    use portcullis::signature::{Scope, parse_prototype};

    fn integer(name: &str, size: u64, signed: bool) -> Real {
        Real::Integer { name: name.to_owned(), size, signed }
    }

    fn pointer(to: Real) -> Real {
        Real::Pointer(Box::new(to))
    }

    fn constant(of: Real) -> Real {
        Real::Qualified { qualifier: "const", of: Box::new(of) }
    }

    fn verdict(text: &str, result: Real, params: Vec<Real>, compatible: bool) -> Verdict {
        let prototype = parse_prototype(text, &Scope::default()).expect("correct");
        let signature = Signature { result, params, variadic: false, prototyped: true };
        compare(&prototype, &Declared::As { signature, compatible }, Abi::SysvX86_64)
    }

    #[test]
    fn the_compiler_has_the_last_word_on_what_agrees() {
        let int = || integer("int", 4, true);
        assert_eq!(verdict("int f(int x)", int(), vec![int()], true), Verdict::Agrees);
        // `long long` for `long`: another type, and nothing that a person would call a change.
        let long = integer("long int", 8, true);
        assert_eq!(
            verdict("int f(long long x)", int(), vec![long], false),
            Verdict::Retyped(Vec::new())
        );
    }

    #[test]
    fn a_pointer_may_become_an_integer_of_its_size() {
        let callback = pointer(Real::Void);
        let Verdict::Retyped(how) =
            verdict("void f(intptr_t arg __range(0))", Real::Void, vec![callback], false)
        else {
            panic!("the ABI is the same")
        };
        assert_eq!(how, ["parameter 1 `arg`: intptr_t __range(0) here, void * in the header"]);
    }

    #[test]
    fn what_a_call_would_pass_differently_differs() {
        let differs = |text, real| {
            let verdict = verdict(text, Real::Void, vec![real], false);
            assert!(matches!(&verdict, Verdict::Differs(how) if how.len() == 1), "{verdict:?}");
        };
        differs("void f(int x)", integer("long int", 8, true));
        differs("void f(int8_t x)", integer("unsigned char", 1, false));
        differs("void f(float x)", Real::Float { name: "double".to_owned(), size: 8 });
        differs("void f(int x)", Real::Float { name: "float".to_owned(), size: 4 });
        differs("void f(unsigned char x)", Real::Bool);
        differs("void f(int *_Out_ x)", pointer(integer("long int", 8, true)));
        differs("void f(float *_Out_ x)", pointer(integer("int", 4, true)));
        differs("void f(int x)", Real::Record { tag: Some("struct s".to_owned()) });
    }

    #[test]
    fn narrow_integers_must_have_the_same_sign_and_wide_ones_need_not() {
        let real = vec![integer("unsigned int", 4, false)];
        let verdict = verdict("void f(int x)", Real::Void, real, false);
        assert!(matches!(verdict, Verdict::Retyped(how) if how.len() == 1));
    }

    #[test]
    fn const_behind_a_pointer_counts_and_elsewhere_does_not() {
        let chars = || integer("char", 1, true);
        let text = "void f(const char *s)";
        assert_eq!(
            verdict(text, Real::Void, vec![pointer(constant(chars()))], true),
            Verdict::Agrees
        );
        let retyped = verdict(text, Real::Void, vec![pointer(chars())], false);
        assert!(matches!(retyped, Verdict::Retyped(how) if how.len() == 1));
        let outermost = verdict(text, Real::Void, vec![constant(pointer(constant(chars())))], true);
        assert_eq!(outermost, Verdict::Agrees);
    }

    #[test]
    fn a_result_may_be_ignored_but_not_invented() {
        let int = || integer("int", 4, true);
        let ignored = verdict("void f(int x)", int(), vec![int()], false);
        assert!(matches!(ignored, Verdict::Retyped(_)));
        let invented = verdict("int f(int x)", Real::Void, vec![int()], false);
        assert!(matches!(invented, Verdict::Differs(_)));
    }

    #[test]
    fn the_number_of_parameters_counts() {
        let verdict = verdict("void f(int x)", Real::Void, vec![], false);
        assert_eq!(
            verdict,
            Verdict::Differs(vec!["1 parameters here, 0 in the header".to_owned()])
        );
    }
}
