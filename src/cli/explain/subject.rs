//! What is explained: what interfaces grant by that name, or a prototype as it was typed.
use super::names::unknown_name;
use crate::cli::words::in_options;
use crate::cli::{args, meant};
use anyhow::{Result, bail};
use portcullis::host::{Import, LinkProblem, Meant, meaning_of};
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{self, CompileError, Target};
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::plan::{HandleTypes, Plan};
use portcullis::signature::{
    Interface, Library, Prototype, Record, RecordKind, Scope, Type, TypeKind, parse_prototype,
};
use std::cell::RefCell;
use std::path::Path;
use std::slice;
use std::sync::Arc;

/// All that a name or prototype means: several are overloads.
pub struct Set {
    /// At least one.
    pub subjects: Vec<Subject>,
    /// How they were found, where that is worth a word.
    pub remark: Option<String>,
}

/// A prototype and all that it is explained with.
pub struct Subject {
    pub prototype: Arc<Prototype>,
    /// What the spans point into, and its name.
    pub name: Arc<str>,
    pub text: Arc<str>,
    pub scope: Scope,
    pub leaf: bool,
    /// Other prototypes of the same library.
    pub others: Vec<Arc<Prototype>>,
    /// The library that it is granted of.
    pub library: Option<Library>,
    /// What a guest calls its import.
    pub imported_as: String,
    /// Guests' own `free` is called instead.
    pub own_free: bool,
}

impl Set {
    /// What the command line names. With grants it is looked up in them as a guest's import is.
    pub fn find(typed: &args::Explain) -> Result<Set> {
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
            .map(|path| Ok(Arc::new(meant::Source::find(path)?.interface()?)))
            .collect::<Result<Vec<_>>>()?;
        let name = &*typed.prototype;
        let is_prototype = name.contains('(') || name.contains(' ');
        match meaning_of(&interfaces, name) {
            Ok(Import::Granted(granted)) => {
                let remark = is_prototype.then(|| agrees(&granted));
                Ok(Set::granted(&granted, name, remark))
            }
            Ok(Import::GuestFree(granted)) => Ok(Set::own_free(&granted, name)),
            Ok(Import::Unknown) => Set::typed(&interfaces, name),
            Err(LinkProblem::OpenTail { symbol, example }) => {
                let remark = format!(
                    "`{symbol}` takes what its format asks for, so that a guest cannot import it by its name alone: its import \
                     names the types behind `...`. Those below, `double, int, const char *`, are an example of what a guest may name, and \
                     not a part of what is granted; `portcullis explain` of a prototype shows what others get."
                );
                match meaning_of(&interfaces, &example)? {
                    Import::Granted(granted) => Ok(Set::granted(&granted, &example, Some(remark))),
                    Import::GuestFree(_) | Import::Unknown => Set::typed(&interfaces, &example),
                }
            }
            Err(LinkProblem::Prototype(errors)) => {
                // Of a prototype that stands alone more can be said.
                let scope = scope(&interfaces);
                Err(parse_prototype(name, &scope).err().unwrap_or(errors).into())
            }
            Err(problem) => {
                let hint = "this is what a guest is told that imports it so; without --grant the \
                            prototype is explained as it is";
                bail!("{}\n\n{hint}", in_options(&problem.to_string()))
            }
        }
    }

    fn granted(granted: &[Meant], name: &str, remark: Option<String>) -> Set {
        let subject = |meant: &Meant| Subject {
            prototype: Arc::clone(&meant.prototype),
            name: Arc::clone(&meant.interface.name),
            text: Arc::clone(&meant.interface.text),
            scope: meant.interface.scope.clone(),
            leaf: meant.leaf,
            others: prototypes(&meant.interface),
            library: Some(meant.library.clone()),
            imported_as: name.to_owned(),
            own_free: false,
        };
        Set { subjects: granted.iter().map(subject).collect(), remark }
    }

    fn own_free(granted: &Meant, name: &str) -> Set {
        let remark = format!(
            "What a guest imports as `{}` is its own `free`: no native code is called. The interface says that this function \
             frees results of others; those are copied into the guest's memory, and the host frees the library's.",
            granted.prototype.name
        );
        let mut set = Set::granted(slice::from_ref(granted), name, Some(remark));
        set.subjects.iter_mut().for_each(|subject| subject.own_free = true);
        set
    }

    /// A prototype that nothing grants.
    fn typed(interfaces: &[Arc<Interface>], text: &str) -> Result<Set> {
        unknown_name(text, interfaces)?;
        let scope = scope(interfaces);
        let prototype = parse_prototype(text, &scope)?;
        let calls_back = has_callback(&prototype);
        let who: Vec<&str> = interfaces.iter().map(|interface| &*interface.name).collect();
        let remark = format!(
            "{} grants no `{}`: this is how it would be called if an interface granted it so.",
            who.join(" or "),
            prototype.name
        );
        let subject = Subject {
            prototype: Arc::new(prototype),
            name: "prototype".into(),
            text: text.into(),
            scope,
            leaf: !calls_back,
            others: interfaces.first().map(|one| prototypes(one)).unwrap_or_default(),
            library: None,
            imported_as: text.to_owned(),
            own_free: false,
        };
        let remark = (!who.is_empty()).then_some(remark);
        Ok(Set { subjects: vec![subject], remark })
    }
}

/// Said of a prototype that a guest might write.
fn agrees(granted: &[Meant]) -> String {
    let mut who: Vec<String> =
        granted.iter().map(|meant| format!("`{}`", meant.interface.name)).collect();
    who.dedup();
    format!(
        "The prototype agrees with what {} grants. The grant is what counts, and what is explained: its annotations hold, \
         whether the guest writes them or not.",
        who.join(" and ")
    )
}

fn scope(interfaces: &[Arc<Interface>]) -> Scope {
    interfaces.first().map(|interface| interface.scope.clone()).unwrap_or_default()
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

impl Subject {
    /// Its plan, to look at.
    pub fn plan(&self, model: DataModel, abi: Abi) -> Result<Arc<Plan>, CompileError> {
        let (leaf, others) = (self.leaf, &self.others);
        compile_for(&self.prototype, &self.scope, leaf, model, abi, others).map(Arc::new)
    }
}

/// Numbers handle types by their tags: nothing but telling them apart is needed here.
#[derive(Default)]
struct Numbers {
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

/// Compiles a plan to look at, not to run.
pub fn compile_for(
    prototype: &Arc<Prototype>,
    scope: &Scope,
    leaf: bool,
    model: DataModel,
    abi: Abi,
    others: &[Arc<Prototype>],
) -> Result<Plan, CompileError> {
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
