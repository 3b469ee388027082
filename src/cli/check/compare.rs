//! Judges a prototype against the type that the real header gives the function.
//!
//! Three verdicts. *Agrees*: the C compiler holds the two types to be compatible. *Retyped*: they
//! are not, but a call looks the same to the machine; that is how an interface narrows a function.
//! *Differs*: a call would pass something else than the function expects.
//!
//! The compiler compares structs and unions by their names alone, so that what is in them is judged
//! in any case: see [`records`](super::records).
use super::class::Class;
use super::header::Declared;
use super::real::{Real, Records};
use portcullis::plan::abi::Abi;
use portcullis::signature::{Data, Prototype, RecordBody, Scope, Type, TypeKind, Variadic};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// How a prototype compares with the real header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same type.
    Agrees,
    /// Another type with the same ABI: where, and how.
    Retyped(Vec<String>),
    /// Not the same ABI: where, and how.
    Differs(Vec<String>),
    /// Only in records whose differences were told already.
    AsTold(Vec<Repeat>),
    /// The header does not have the function.
    Undeclared,
}

/// What the types of the two sides rest on.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// That of the calls.
    pub abi: Abi,
    /// Of the interface.
    pub scope: &'a Scope,
    /// Of the header.
    pub records: &'a Records,
    /// What was told of records so far.
    pub told: &'a Told,
}

/// A record whose differences were told for another function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The record: `struct s`.
    pub record: String,
    /// The function for which they were told.
    pub first: Arc<str>,
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} differs, as told for `{}`", self.record, self.first)
    }
}

/// Records that differ, and the functions for which that was told.
#[derive(Debug, Default)]
pub struct Told(RefCell<HashMap<(*const RecordBody, usize), Arc<str>>>);

impl Told {
    /// The function for which it was told.
    pub(super) fn of(&self, record: (*const RecordBody, usize)) -> Option<Arc<str>> {
        self.0.borrow().get(&record).cloned()
    }

    pub(super) fn tell(&self, record: (*const RecordBody, usize), function: &Arc<str>) {
        self.0.borrow_mut().entry(record).or_insert_with(|| Arc::clone(function));
    }
}

/// Compares.
pub fn compare(prototype: &Prototype, declared: &Declared, side: Side<'_>) -> Verdict {
    let mut judge = Judge::new(side, &prototype.name.name);
    let (signature, compatible) = match declared {
        Declared::No => return Verdict::Undeclared,
        // No data is a record, or leads to one that is complete here.
        Declared::Data { compatible: true, .. } => return Verdict::Agrees,
        Declared::Data { real, compatible: false } => {
            if prototype.data == Some(Data::Array) {
                judge.differs.push(format!("an array here, `{real}` in the header"));
            } else {
                judge.judge(&At::new("data"), &prototype.function.result, real, Use::Result);
            }
            return judge.verdict(false);
        }
        Declared::As { signature, compatible } => (signature, *compatible),
    };
    let function = &prototype.function;
    if !signature.prototyped {
        judge.retyped.push("the header declares no parameters".to_owned());
    } else {
        let ours = function.params.len();
        let theirs = signature.params.len();
        if ours != theirs {
            judge.differs.push(format!("{ours} parameters here, {theirs} in the header"));
        }
        if signature.variadic != (function.variadic != Variadic::No) {
            let here = if signature.variadic { "no `...`" } else { "`...`" };
            judge.differs.push(format!("{here} here, the header has it otherwise"));
        }
        for (number, (param, real)) in function.params.iter().zip(&signature.params).enumerate() {
            let name = match &param.name {
                Some(name) => format!("parameter {} `{name}`", number + 1),
                None => format!("parameter {}", number + 1),
            };
            judge.judge(&At::new(name), &param.ty, real, Use::Parameter);
        }
    }
    judge.judge(&At::new("result"), &function.result, &signature.result, Use::Result);
    judge.verdict(compatible)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Parameter,
    Result,
    Field,
}

/// What is being compared: a parameter, or a field that it leads to.
#[derive(Clone)]
pub(super) struct At {
    what: String,
    /// Fields, as C has them: `a.b->c`.
    path: String,
    /// What stands between the path and a further field.
    joint: &'static str,
}

impl At {
    fn new(what: impl Into<String>) -> At {
        At { what: what.into(), path: String::new(), joint: "." }
    }

    fn pointed(&self) -> At {
        At { joint: "->", ..self.clone() }
    }

    fn element(&self) -> At {
        let path = if self.path.is_empty() { String::new() } else { format!("{}[]", self.path) };
        At { path, joint: ".", ..self.clone() }
    }

    /// A field; those of an anonymous record are as if they stood around it.
    pub(super) fn field(&self, name: Option<&str>) -> At {
        let Some(name) = name else { return self.clone() };
        let joint = if self.path.is_empty() { "" } else { self.joint };
        At { path: format!("{}{joint}{name}", self.path), joint: ".", ..self.clone() }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, ", field `{}`", self.path) }
    }
}

/// Collects how one prototype differs from the real one.
pub(super) struct Judge<'a> {
    pub(super) side: Side<'a>,
    pub(super) function: &'a Arc<str>,
    pub(super) repeats: Vec<Repeat>,
    retyped: Vec<String>,
    /// Whether one of those is about a field, which the compiler does not look at.
    retyped_fields: bool,
    pub(super) differs: Vec<String>,
    /// Pairs of records that were compared, or are being compared: they may lead back to
    /// themselves.
    pub(super) seen: HashSet<(*const RecordBody, usize)>,
}

impl<'a> Judge<'a> {
    fn new(side: Side<'a>, function: &'a Arc<str>) -> Judge<'a> {
        Judge {
            side,
            function,
            repeats: Vec::new(),
            retyped: Vec::new(),
            retyped_fields: false,
            differs: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn verdict(mut self, compatible: bool) -> Verdict {
        if !self.differs.is_empty() {
            self.differs.extend(self.repeats.iter().map(Repeat::to_string));
            Verdict::Differs(self.differs)
        } else if !self.repeats.is_empty() {
            Verdict::AsTold(self.repeats)
        } else if compatible && !self.retyped_fields {
            Verdict::Agrees
        } else {
            Verdict::Retyped(self.retyped)
        }
    }

    pub(super) fn judge(&mut self, at: &At, ours: &Type, real: &Real, usage: Use) {
        let side = self.side;
        let say = || {
            let (here, there) = (ours.as_written().to_string(), real.to_string());
            // Two typedefs of one name: what they stand for tells them apart.
            let same = here == there;
            let (here, there) =
                if same { (ours.to_string(), real.bare().to_string()) } else { (here, there) };
            format!("{at}: {here} here, {there} in the header")
        };
        if let (TypeKind::Array { element, .. }, Real::Array { element: theirs, length }) =
            (&ours.kind, real.bare())
        {
            if side.length(ours, element) == length.unwrap_or(0) {
                self.judge(&at.element(), element, theirs, Use::Field);
            } else {
                self.differs.push(say());
            }
            return;
        }
        if !side.same(ours, real, true) {
            let (here, there) = (Class::of_ours(ours, side.abi), Class::of_real(real, side.abi));
            // A result that nobody looks at does no harm.
            let ignored = usage == Use::Result
                && here == Some(Class::Void)
                && there.is_some_and(Class::may_be_ignored);
            let passes =
                matches!((here, there), (Some(here), Some(there)) if here.passes_as(there));
            if (passes || ignored) && !side.points_elsewhere(ours, real) {
                self.retyped.push(say());
                self.retyped_fields |= usage == Use::Field;
            } else {
                self.differs.push(say());
            }
        }
        self.reach(at, ours, real);
    }

    /// Compares the structs and unions that both types lead to.
    fn reach(&mut self, at: &At, ours: &Type, real: &Real) {
        match (&ours.kind, real.bare()) {
            (TypeKind::Pointer(ours), Real::Pointer(real)) => {
                self.reach(&at.pointed(), ours, real);
            }
            (TypeKind::Array { element: ours, .. }, Real::Array { element: real, .. }) => {
                self.reach(&at.element(), ours, real);
            }
            (TypeKind::Function(ours), Real::Function(real)) => {
                for (number, (ours, real)) in ours.params.iter().zip(&real.params).enumerate() {
                    let at = At::new(format!("{at}, its parameter {}", number + 1));
                    self.reach(&at, &ours.ty, real);
                }
                self.reach(&At::new(format!("{at}, its result")), &ours.result, &real.result);
            }
            (TypeKind::Record(record), Real::Record { id, .. }) => {
                self.record(at, record, ours.span, *id);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::real::Signature;
    use super::*;
    use portcullis::signature::{RecordKind, Scope, parse_prototype};

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
        let (scope, records, told) = (Scope::default(), Records::default(), Told::default());
        let side = Side { abi: Abi::SysvX86_64, scope: &scope, records: &records, told: &told };
        compare(&prototype, &Declared::As { signature, compatible }, side)
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
        let tag = Some("struct s".to_owned());
        differs("void f(int x)", Real::Record { kind: RecordKind::Struct, tag, id: 0 });
        differs("void f(float _Complex x)", complex("double _Complex", 16));
        differs("void f(double x)", complex("float _Complex", 8));
        differs("void f(long double x)", Real::Float { name: "_Float128".to_owned(), size: 16 });
    }

    fn complex(name: &str, size: u64) -> Real {
        Real::Complex { name: name.to_owned(), size }
    }

    #[test]
    fn complex_types_and_vectors_are_told_by_what_they_are() {
        let int = || Box::new(integer("int", 4, true));
        for (text, real) in [
            ("void f(double _Complex x)", complex("complex double", 16)),
            ("void f(__int128 x)", integer("__int128", 16, true)),
            (
                "void f(int __attribute__((vector_size(16))) x)",
                Real::Vector { lane: int(), bytes: 16 },
            ),
        ] {
            let retyped = verdict(text, Real::Void, vec![real], false);
            assert_eq!(retyped, Verdict::Retyped(Vec::new()), "{text}");
        }
        let other = Real::Vector { lane: int(), bytes: 16 };
        let text = "void f(float __attribute__((vector_size(16))) x)";
        let retyped = verdict(text, Real::Void, vec![other], false);
        assert!(matches!(retyped, Verdict::Retyped(how) if how.len() == 1));
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
        // Its caller passes memory.
        let record = Real::Record { kind: RecordKind::Struct, tag: None, id: 0 };
        let ignored = verdict("void f(void)", record, vec![], false);
        assert!(matches!(ignored, Verdict::Differs(_)));
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
