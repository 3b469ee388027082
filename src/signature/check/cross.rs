//! What only a whole interface can tell: whether its prototypes fit together.
use super::super::parse::Names;
use super::super::{
    Diagnostic, Expr, ExprKind, Grant, Ident, Interface, NoteKind, Param, Prototype, Record,
    RecordBody, RecordKind, Type, TypeKind,
};
use super::class::Class;
use super::walk::{exprs_of, types_in, types_of};
use super::{Checker, Missing, is_unknown};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most prototypes of one symbol.
const MAX_OVERLOADS: usize = 256;

/// Checks all prototypes of an interface, alone and together. Tells for each whether it is a leaf.
/// `lost`: a declaration could not be read, so a name that is missing may just be unknown.
pub(in super::super) fn interface(
    prototypes: &[(usize, Prototype)],
    names: &Names<'_>,
    lost: bool,
    errors: &mut Vec<Diagnostic>,
) -> Vec<bool> {
    let freeing: HashSet<&str> = prototypes.iter().flat_map(|(_, p)| freed_by(p)).collect();
    for (_, prototype) in prototypes {
        let name = &*prototype.name.name;
        let missing = if freeing.contains(name) { Missing::Allowed } else { Missing::Refused };
        super::prototype(prototype, names, missing, errors);
    }
    let mut granted: HashMap<&str, Vec<(usize, &Prototype)>> = HashMap::new();
    for (library, prototype) in prototypes {
        granted.entry(&*prototype.name.name).or_default().push((*library, prototype));
    }
    let checker = Checker { names, errors, missing: Missing::Refused, frames: Vec::new() };
    let remembered = prototypes.iter().flat_map(|(_, p)| remembered(p)).collect();
    let mut cross = Cross { checker, granted, remembered };
    cross.overloads(prototypes);
    if !lost {
        cross.destructors();
        cross.boxes();
        cross.closers(prototypes);
        for (_, prototype) in prototypes {
            cross.mentions(prototype);
        }
    }
    let calls_back = has_callback(prototypes, names);
    let leaf = |p: &Prototype| !calls_back || p.has(|kind| *kind == NoteKind::Leaf);
    prototypes.iter().map(|(_, prototype)| leaf(prototype)).collect()
}

/// The grants that prototypes become.
pub(in super::super) fn grants(prototypes: Vec<(usize, Prototype)>, leaf: Vec<bool>) -> Vec<Grant> {
    let both = prototypes.into_iter().zip(leaf);
    both.map(|((library, prototype), leaf)| Grant { library, prototype: Arc::new(prototype), leaf })
        .collect()
}

fn freed_by(prototype: &Prototype) -> Vec<&str> {
    let mut names = Vec::new();
    types_of(&prototype.function, &mut |ty| {
        names.extend(ty.notes.iter().filter_map(|note| match &note.kind {
            NoteKind::FreedBy(function) => Some(&*function.name),
            _ => None,
        }));
    });
    names
}

fn remembered(prototype: &Prototype) -> Vec<&str> {
    let mut names = Vec::new();
    types_of(&prototype.function, &mut |ty| {
        names.extend(ty.notes.iter().filter_map(|note| match &note.kind {
            NoteKind::Remember(name, _) => Some(&*name.name),
            _ => None,
        }));
    });
    names
}

/// Whether native code could get a code pointer of the guest through any of the prototypes.
fn has_callback(prototypes: &[(usize, Prototype)], names: &Names<'_>) -> bool {
    let mut found = false;
    let mut pending: Vec<Arc<RecordBody>> = Vec::new();
    let mut look = |ty: &Type, pending: &mut Vec<Arc<RecordBody>>| match &ty.kind {
        TypeKind::Function(_) => found = true,
        TypeKind::Record(record) => pending.extend(names.body(record)),
        _ => {}
    };
    for (_, prototype) in prototypes {
        types_of(&prototype.function, &mut |ty| look(ty, &mut pending));
    }
    // Kept while it is compared with: the address of a body that is gone may come again.
    let mut seen: HashMap<*const RecordBody, Arc<RecordBody>> = HashMap::new();
    while let Some(body) = pending.pop() {
        if seen.insert(Arc::as_ptr(&body), Arc::clone(&body)).is_none() {
            for field in &body.fields {
                types_in(&field.ty, &mut |ty| look(ty, &mut pending));
            }
        }
    }
    found
}

struct Cross<'a, 'e> {
    checker: Checker<'a, 'e>,
    granted: HashMap<&'a str, Vec<(usize, &'a Prototype)>>,
    /// Names that some prototype keeps with a handle.
    remembered: HashSet<&'a str>,
}

impl<'a> Cross<'a, '_> {
    /// Several grants of one symbol are told apart by their ranges.
    fn overloads(&mut self, prototypes: &'a [(usize, Prototype)]) {
        let mut seen: HashMap<(usize, &str), Vec<&Prototype>> = HashMap::new();
        for (library, prototype) in prototypes {
            let earlier = seen.entry((*library, &*prototype.name.name)).or_default();
            let name = &prototype.name;
            if earlier.len() >= MAX_OVERLOADS {
                let error = format!("`{name}` is granted more than {MAX_OVERLOADS} times");
                self.checker.report(Diagnostic::new(name.span, error));
                continue;
            }
            if let Some(first) = earlier.iter().find(|first| !told_apart(first, prototype)) {
                self.checker.report(
                    Diagnostic::new(name.span, format!("`{name}` is granted twice"))
                        .label("the second time")
                        .related(first.name.span, "the first")
                        .help(
                            "grants of one function differ in the `__range` of a parameter, so \
                             that its value tells which one is meant",
                        ),
                );
            }
            earlier.push(prototype);
        }
    }

    /// `__drop(fn)` of opaque types.
    fn destructors(&mut self) {
        let mut all: Vec<_> = self.checker.names.own.record_notes.iter().collect();
        all.sort_by(|a, b| a.0.1.cmp(&b.0.1));
        for ((kind, tag), notes) in all {
            for note in notes {
                let NoteKind::Drop(function) = &note.kind else { continue };
                let what = format!("destroys a `{kind} {tag}`");
                for prototype in self.granted_as(function, "__drop") {
                    let takes_it = |param: &Param| {
                        param.ty.pointee().is_some_and(|pointee| {
                            matches!(&pointee.kind, TypeKind::Record(Record { kind: k, tag: Some(t), .. })
                                if k == kind && t.name == *tag)
                        })
                    };
                    let error = match &prototype.function.params[..] {
                        [param] if takes_it(param) && consumes(param) => continue,
                        [param] if takes_it(param) => Diagnostic::new(
                            function.span,
                            format!("`{function}` {what}, but does not say that it does"),
                        )
                        .related(param.span, "add `__consumes` here"),
                        _ => Diagnostic::new(
                            function.span,
                            format!("`{function}` cannot be what {what}"),
                        )
                        .related(prototype.name.span, "it does not take just a pointer to one"),
                    };
                    self.checker.report(error);
                }
            }
        }
    }

    /// `__boxed` structs: the guest's mirror has a handle somewhere.
    fn boxes(&mut self) {
        let own = &self.checker.names.own;
        let mut all: Vec<_> = own.record_notes.iter().collect();
        all.sort_by(|a, b| a.0.1.cmp(&b.0.1));
        for (key, notes) in all {
            let Some(boxed) = notes.iter().find(|note| note.kind == NoteKind::Boxed) else {
                continue;
            };
            let Some(body) = own.records.get(key) else { continue };
            let (kind, tag) = key;
            let private = |ty: &Type| ty.has(|note| *note == NoteKind::Private);
            let error = if *kind == RecordKind::Union {
                ("a `__boxed` object is a struct", "wrap the union in one")
            } else if !body.fields.iter().any(|field| private(&field.ty)) {
                (
                    "this `__boxed` struct has no place for the guest's handle",
                    "write `__private` at a pointer, or at four aligned bytes, that are no business of the guest's",
                )
            } else {
                continue;
            };
            let (message, help) = error;
            let label = format!("`{kind} {tag}`");
            self.checker.report(Diagnostic::new(boxed.span, message).label(label).help(help));
        }
    }

    /// `__drop(fn)` of descriptors.
    fn closers(&mut self, prototypes: &'a [(usize, Prototype)]) {
        // One error a name, however often its typedef is used.
        let mut seen: HashMap<(&str, &str), ()> = HashMap::new();
        let mut all: Vec<(&'a Type, &'a Ident)> = Vec::new();
        for (_, prototype) in prototypes {
            types_of(&prototype.function, &mut |ty: &'a Type| {
                let notes = ty.notes.iter().filter(|_| ty.pointee().is_none());
                all.extend(notes.filter_map(|note| match &note.kind {
                    NoteKind::Drop(function) => Some((ty, function)),
                    _ => None,
                }));
            });
        }
        for (ty, function) in all {
            let name = ty.alias.as_deref().unwrap_or("int");
            if seen.insert((name, &*function.name), ()).is_some() {
                continue;
            }
            for prototype in self.granted_as(function, "__drop") {
                let takes_it = |param: &Param| {
                    param.ty.kind == ty.kind
                        && param.ty.alias == ty.alias
                        && param.ty.has(|kind| *kind == NoteKind::Handle)
                };
                let error = match &prototype.function.params[..] {
                    [param] if takes_it(param) && consumes(param) => continue,
                    [param] if takes_it(param) => Diagnostic::new(
                        function.span,
                        format!("`{function}` closes a `{name}`, but does not say that it does"),
                    )
                    .related(param.span, "add `__consumes` here"),
                    _ => Diagnostic::new(
                        function.span,
                        format!("`{function}` cannot be what closes a `{name}`"),
                    )
                    .related(prototype.name.span, "it does not take just one"),
                };
                self.checker.report(error);
            }
        }
    }

    /// The grants of a function that an annotation names; tells if there are none.
    fn granted_as(&mut self, function: &Ident, by: &str) -> Vec<&'a Prototype> {
        if let Some(found) = self.granted.get(&*function.name) {
            return found.iter().map(|(_, prototype)| *prototype).collect();
        }
        let similar =
            super::super::diagnostic::did_you_mean(&function.name, self.granted.keys().copied());
        let error =
            Diagnostic::new(function.span, format!("this interface does not grant `{function}`"))
                .label(format!("`{by}` names it"));
        let error = match similar {
            Some(similar) => error.help(format!("did you mean `{similar}`?")),
            None => error.help(format!("declare `{function}` as well")),
        };
        self.checker.report(error);
        Vec::new()
    }

    /// What the annotations of one prototype name.
    fn mentions(&mut self, prototype: &'a Prototype) {
        let mut frees: Vec<&'a Ident> = Vec::new();
        types_of(&prototype.function, &mut |ty: &'a Type| {
            frees.extend(ty.notes.iter().filter_map(|note| match &note.kind {
                NoteKind::FreedBy(function) => Some(function),
                _ => None,
            }));
        });
        for function in frees {
            for freeing in self.granted_as(function, "__freed_by") {
                let one_pointer = match &freeing.function.params[..] {
                    [param] => self.checker.class(&param.ty).is_data_pointer(),
                    _ => false,
                };
                if !one_pointer {
                    let error = format!("`{function}` cannot free memory");
                    self.checker.report(
                        Diagnostic::new(function.span, error)
                            .related(freeing.name.span, "it does not take just a pointer to data"),
                    );
                }
            }
        }
        let mut exprs: Vec<&'a Expr> = Vec::new();
        exprs_of(prototype, &mut |e| exprs.push(e));
        for e in exprs {
            e.each(&mut |e: &'a Expr| match &e.kind {
                ExprKind::Call(function, arguments) => {
                    self.pure_call(prototype, function, arguments);
                }
                ExprKind::Member(_, name) => {
                    let of_struct = self.is_field(prototype, e);
                    if !of_struct && !self.remembered.contains(&*name.name) {
                        let error = format!("nothing remembers `{name}`");
                        self.checker.report(Diagnostic::new(name.span, error).help(format!(
                            "the call that makes the handle says `__remember({name} = e)`"
                        )));
                    }
                }
                _ => {}
            });
        }
    }

    /// Whether `e.f` is a field of a struct that is passed by value.
    fn is_field(&self, prototype: &Prototype, e: &Expr) -> bool {
        let ExprKind::Member(of, _) = &e.kind else { return false };
        let ExprKind::Name(name) = &of.kind else { return true };
        let param = prototype.param_index(&name.name).map(|at| &prototype.function.params[at].ty);
        param.is_none_or(|ty| self.checker.class(ty) != Class::Handle)
    }

    fn pure_call(&mut self, caller: &Prototype, function: &Ident, arguments: &[Expr]) {
        for callee in self.granted_as(function, "an expression") {
            let error = |text: String| {
                Diagnostic::new(function.span, text).related(callee.name.span, "declared here")
            };
            let params = &callee.function.params;
            if !callee.has(|kind| matches!(kind, NoteKind::Const | NoteKind::Pure)) {
                let text = format!("`{function}` is not said to be free of side effects");
                self.checker.report(
                    error(text)
                        .help("if it is, add `__attribute__((pure))` after its parameter list"),
                );
            } else if self.checker.class(&callee.function.result) != Class::Integer {
                let text = format!("`{function}` does not return an integer");
                self.checker.report(error(text));
            } else if params.len() != arguments.len() {
                let (wanted, found) = (params.len(), arguments.len());
                let text = format!("`{function}` takes {wanted} arguments, found {found}");
                self.checker.report(error(text));
            } else {
                for (argument, param) in arguments.iter().zip(params) {
                    self.argument(caller, argument, param);
                }
            }
        }
    }

    /// Parameters are passed on as they are: pointers have to be of the same type.
    fn argument(&mut self, caller: &Prototype, argument: &Expr, param: &Param) {
        let wanted = self.checker.class(&param.ty);
        let given = match &argument.kind {
            ExprKind::Name(name) => {
                caller.param_index(&name.name).map(|at| &caller.function.params[at].ty)
            }
            ExprKind::Return => Some(&caller.function.result),
            _ => None,
        };
        let fits = match given {
            Some(ty) if is_unknown(ty) => true,
            Some(ty) if wanted == Class::Integer => self.checker.class(ty) == Class::Integer,
            Some(ty) => ty.kind == param.ty.kind,
            None => wanted == Class::Integer,
        };
        if !fits {
            let error = format!("`{argument}` is not the `{}` that is asked for", param.ty);
            self.checker
                .report(Diagnostic::new(argument.span, error).related(param.span, "the parameter"));
        }
    }
}

fn consumes(param: &Param) -> bool {
    param.ty.has(|kind| matches!(kind, NoteKind::Consumes | NoteKind::ConsumesIf(_)))
}

/// Whether some parameter has ranges in both, and different ones.
fn told_apart(a: &Prototype, b: &Prototype) -> bool {
    let ranges = |param: &Param| -> Vec<NoteKind> {
        let kinds = param.ty.notes.iter().map(|note| &note.kind);
        kinds.filter(|kind| matches!(kind, NoteKind::Range(..))).cloned().collect()
    };
    let both = a.function.params.iter().zip(&b.function.params);
    both.map(|(a, b)| (ranges(a), ranges(b))).any(|(a, b)| !a.is_empty() && !b.is_empty() && a != b)
}

impl Interface {
    /// The grants of a symbol, in order: more than one are an overload set.
    pub fn find<'a>(&'a self, symbol: &'a str) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |grant| &*grant.prototype.name.name == symbol)
    }
}
