//! What the host grants, and which of it an import means.
//!
//! An import's module is compared with the module and library names of granted interfaces byte for
//! byte; its name is a symbol or a prototype. The result is a list of granted prototypes in the
//! order of their grants: more than one is an overload set. How they become something that can be
//! called is in [`link`](super::link), what a denied guest is told in [`denial`](super::denial).
use super::error::LinkProblem;
use super::plans::Origin;
use crate::signature::{
    Diagnostics, Function, Interface, Library, NoteKind, Prototype, Scope, Type, TypeKind,
    Variadic, agree, open_tail, parse_declaration, parse_prototype, with_example_tail, with_tail,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One granted interface, with what is looked up in it.
#[derive(Debug)]
pub(super) struct Granted {
    pub interface: Arc<Interface>,
    /// Positions of the grants of a library's symbol, in order.
    by_symbol: HashMap<(usize, Arc<str>), Vec<usize>>,
    /// Functions that some `__freed_by` names: guests' own imports of them are bound to the guests'
    /// own `free`.
    freed_by: HashSet<Arc<str>>,
}

/// Everything that the host grants.
#[derive(Debug, Default)]
pub(super) struct Grants {
    interfaces: Vec<Granted>,
    /// Libraries for which guests' own prototypes stand.
    trusted: Vec<Arc<str>>,
}

/// A library of a granted interface that an import's module means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'g> {
    granted: &'g Granted,
    position: usize,
    library: usize,
}

/// What an import means.
#[derive(Debug)]
pub(super) enum Meaning<'g> {
    /// These granted prototypes, at least one, in the order of their grants.
    Granted(Vec<Chosen<'g>>),
    /// The guest's own prototype of a trusted library.
    Trusted {
        /// What the guest wrote.
        prototype: Arc<Prototype>,
        /// Where handle types of its names belong.
        origin: Origin,
    },
    /// The guest's own `free`. With the prototype of the native function, for messages.
    GuestFree(Arc<Prototype>),
}

/// A granted prototype that an import means.
#[derive(Clone, Debug)]
pub(super) struct Chosen<'g> {
    /// The interface that grants it.
    pub interface: &'g Interface,
    /// Where handle types of its name belong.
    pub origin: Origin,
    /// The library that it is a function of.
    pub library: &'g Library,
    /// The grant; with the guest's own tail, where the grant leaves that to a format.
    pub prototype: Arc<Prototype>,
    pub leaf: bool,
    granted: &'g Granted,
    library_index: usize,
}

impl<'g> Chosen<'g> {
    /// What its annotations mean by `symbol`: the function of its own library that the interface
    /// grants, else that of the first library of the interface that is granted one.
    pub(super) fn sibling(&self, symbol: &str) -> Option<Sibling<'g>> {
        let symbol = Arc::from(symbol);
        let first = |library| Some((library, *self.granted.positions(library, &symbol).first()?));
        let all = 0..self.interface.libraries.len();
        let (library, position) = std::iter::once(self.library_index).chain(all).find_map(first)?;
        let interface = &self.granted.interface;
        Some(Sibling {
            library: &interface.libraries[library],
            prototype: &interface.grants[position].prototype,
        })
    }
}

/// A function that annotations of another one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sibling<'g> {
    /// The library that it is granted of.
    pub library: &'g Library,
    pub prototype: &'g Arc<Prototype>,
}

/// Why an import means nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The library is granted, this symbol of it is not.
    NotGranted,
    /// Everything else.
    Problem(LinkProblem),
}

impl Granted {
    pub(super) fn new(interface: Arc<Interface>) -> Granted {
        let mut by_symbol: HashMap<_, Vec<usize>> = HashMap::new();
        let freed_by = freed_by(&interface);
        for (position, grant) in interface.grants.iter().enumerate() {
            let symbol = Arc::clone(&grant.prototype.name.name);
            by_symbol.entry((grant.library, symbol)).or_default().push(position);
        }
        Granted { interface, by_symbol, freed_by }
    }

    fn positions(&self, library: usize, symbol: &Arc<str>) -> &[usize] {
        self.by_symbol.get(&(library, Arc::clone(symbol))).map_or(&[], Vec::as_slice)
    }
}

impl<'g> Candidate<'g> {
    /// The library that is meant.
    pub(super) fn library(&self) -> &'g Library {
        &self.granted.interface.libraries[self.library]
    }

    /// What messages call the interface.
    pub(super) fn interface_name(&self) -> &'g str {
        &self.granted.interface.name
    }

    /// The names that prototypes of it may use.
    pub(super) fn scope(&self) -> &'g Scope {
        &self.granted.interface.scope
    }

    /// The symbols that it grants.
    pub(super) fn symbols(&self) -> impl Iterator<Item = &'g str> + use<'g> {
        let library = self.library;
        let grants = self.granted.interface.grants.iter();
        grants
            .filter(move |grant| grant.library == library)
            .map(|grant| &*grant.prototype.name.name)
    }

    fn grants(&self, symbol: &Arc<str>) -> impl Iterator<Item = Chosen<'g>> + use<'g> {
        let Candidate { granted, position, library } = *self;
        granted.positions(library, symbol).iter().map(move |&at| {
            let grant = &granted.interface.grants[at];
            Chosen {
                interface: &granted.interface,
                origin: Origin::Interface(position),
                library: &granted.interface.libraries[library],
                prototype: Arc::clone(&grant.prototype),
                leaf: grant.leaf,
                granted,
                library_index: library,
            }
        })
    }
}

impl Grants {
    pub(super) fn grant(&mut self, interface: Arc<Interface>) {
        // The same text twice is one grant, and its handle types are the same.
        if self.interfaces.iter().all(|known| known.interface.text != interface.text) {
            self.interfaces.push(Granted::new(interface));
        }
    }

    pub(super) fn trust(&mut self, library: &str) {
        if !self.is_trusted(library) {
            self.trusted.push(library.into());
        }
    }

    /// The libraries for which guests' own prototypes stand.
    pub(super) fn trusted(&self) -> impl Iterator<Item = &str> {
        self.trusted.iter().map(|library| &**library)
    }

    /// Whether guests' own prototypes stand for the library of that name.
    pub(super) fn is_trusted(&self, library: &str) -> bool {
        self.trusted.iter().any(|known| **known == *library)
    }

    /// The granted libraries that an import's module means, in the order of their grants.
    pub(super) fn candidates(&self, module: &str) -> Vec<Candidate<'_>> {
        let mut found = Vec::new();
        for (position, granted) in self.interfaces.iter().enumerate() {
            for (library, named) in granted.interface.libraries.iter().enumerate() {
                if *named.file == *module || named.module.as_deref() == Some(module) {
                    found.push(Candidate { granted, position, library });
                }
            }
        }
        found
    }

    /// All granted interfaces.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().map(|granted| &*granted.interface)
    }

    /// What the import `name` of `module` means. `candidates` are those of `module`; `own` are the
    /// prototypes that the guest's module has for it, if it is trusted.
    pub(super) fn meaning<'g>(
        &'g self,
        module: &str,
        name: &str,
        candidates: &[Candidate<'g>],
        own: &[Arc<Prototype>],
    ) -> Result<Meaning<'g>, Refusal> {
        let trusted = self.trusted.iter().position(|library| **library == *module);
        if is_symbol(name) {
            return named(&Arc::from(name), candidates);
        }
        if let Some(position) = trusted {
            let prototype = parse_prototype(name, &Scope::default()).map_err(bad_prototype)?;
            let prototype = Arc::new(prototype);
            if own.iter().any(|other| frees(&other.function, &prototype.name.name)) {
                return Ok(Meaning::GuestFree(prototype));
            }
            return Ok(Meaning::Trusted { prototype, origin: Origin::Trusted(position) });
        }
        declared(name, candidates)
    }
}

/// Candidates in groups for one memory each, in the order of the first of a group. A call works on one memory, so that grants for
/// different ones never form one set.
pub(super) fn by_memory<'g>(candidates: &[Candidate<'g>]) -> Vec<Vec<Candidate<'g>>> {
    let mut groups: Vec<Vec<Candidate<'g>>> = Vec::new();
    for candidate in candidates {
        let memory = &candidate.library().memory;
        match groups.iter_mut().find(|group| group[0].library().memory == *memory) {
            Some(group) => group.push(*candidate),
            None => groups.push(vec![*candidate]),
        }
    }
    groups
}

/// An import by plain symbol: everything that is granted for it.
fn named<'g>(symbol: &Arc<str>, candidates: &[Candidate<'g>]) -> Result<Meaning<'g>, Refusal> {
    let chosen = candidates.iter().flat_map(|one| one.grants(symbol));
    let (open, chosen): (Vec<_>, Vec<_>) =
        chosen.partition(|one| open_tail(&one.prototype).is_some());
    let problem = open.first().map(|one| LinkProblem::OpenTail {
        symbol: symbol.to_string(),
        example: with_example_tail(&one.prototype).as_written().to_string(),
    });
    settle(chosen, problem)
}

/// An import by prototype: what is granted for its symbol and agrees with it.
fn declared<'g>(text: &str, candidates: &[Candidate<'g>]) -> Result<Meaning<'g>, Refusal> {
    let mut chosen = Vec::new();
    let mut contradiction = None;
    let mut mistake = None;
    // Whether some interface could read it.
    let mut known = false;
    for candidate in candidates {
        let declaration = match parse_declaration(text, candidate.scope()) {
            Ok(declaration) => declaration,
            Err(errors) => {
                mistake = mistake.or(Some(errors));
                continue;
            }
        };
        let name = Arc::clone(&declaration.name.name);
        for grant in candidate.grants(&name) {
            match agree(&declaration, &grant.prototype) {
                Ok(()) => match with_tail(&declaration, &grant.prototype) {
                    Ok(prototype) => chosen.push(Chosen { prototype, ..grant }),
                    Err(errors) => {
                        let errors = Diagnostics::new("import name", text, errors);
                        return Err(Refusal::Problem(LinkProblem::Prototype(errors)));
                    }
                },
                Err(difference) => {
                    contradiction = contradiction.or(Some(LinkProblem::Contradiction {
                        interface: candidate.interface_name().to_owned(),
                        difference: difference.to_string(),
                    }));
                }
            }
        }
        known = true;
    }
    match (known, mistake) {
        (false, Some(errors)) => Err(bad_prototype(errors)),
        _ => settle(chosen, contradiction),
    }
}

fn settle<'g>(
    chosen: Vec<Chosen<'g>>,
    contradiction: Option<LinkProblem>,
) -> Result<Meaning<'g>, Refusal> {
    let Some(first) = chosen.first() else {
        return Err(contradiction.map_or(Refusal::NotGranted, Refusal::Problem));
    };
    if first.granted.freed_by.contains(&first.prototype.name.name) {
        return Ok(Meaning::GuestFree(Arc::clone(&first.prototype)));
    }
    Ok(Meaning::Granted(chosen))
}

fn bad_prototype(errors: Diagnostics) -> Refusal {
    Refusal::Problem(LinkProblem::Prototype(errors.with_name("import name")))
}

/// Whether an import's name is a plain symbol; everything else is a prototype.
pub(super) fn is_symbol(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// Whether native code may call back into a guest through this function's own arguments.
pub(super) fn takes_callback(function: &Function) -> bool {
    any_type(function, &mut |ty| matches!(ty.kind, TypeKind::Function(_)))
}

/// The functions that a `__freed_by` of the interface names. Guests' own imports of them are bound
/// to the guests' own `free`, never to native code.
#[must_use]
pub fn freed_by(interface: &Interface) -> HashSet<Arc<str>> {
    let mut found = HashSet::new();
    for grant in &interface.grants {
        collect_freed_by(&grant.prototype.function, &mut found);
    }
    found
}

fn frees(function: &Function, symbol: &str) -> bool {
    let mut found = HashSet::new();
    collect_freed_by(function, &mut found);
    found.contains(symbol)
}

fn collect_freed_by(function: &Function, into: &mut HashSet<Arc<str>>) {
    any_type(function, &mut |ty| {
        for note in &ty.notes {
            if let NoteKind::FreedBy(symbol) = &note.kind {
                into.insert(Arc::clone(&symbol.name));
            }
        }
        false
    });
}

/// Whether `f` holds for a type that the function mentions, at any depth.
fn any_type(function: &Function, f: &mut dyn FnMut(&Type) -> bool) -> bool {
    let tail = match &function.variadic {
        Variadic::Typed(tail) => tail.as_slice(),
        Variadic::No | Variadic::Untyped(_) => &[],
    };
    let params = function.params.iter().map(|param| &param.ty);
    let mut types: Vec<&Type> = params.chain(tail).chain([&function.result]).collect();
    while let Some(ty) = types.pop() {
        if f(ty) {
            return true;
        }
        match &ty.kind {
            TypeKind::Pointer(inner) => types.push(inner),
            TypeKind::Array { element, .. } => types.push(element),
            TypeKind::Vector { lane, .. } => types.push(lane),
            TypeKind::Function(function) => {
                types.push(&function.result);
                types.extend(function.params.iter().map(|param| &param.ty));
            }
            TypeKind::Record(record) => {
                let fields = record.body.iter().flat_map(|body| &body.fields);
                types.extend(fields.map(|field| &field.ty));
            }
            TypeKind::Void
            | TypeKind::Bool
            | TypeKind::Integer(_)
            | TypeKind::Float(_)
            | TypeKind::Complex(_)
            | TypeKind::Enum(_) => {}
        }
    }
    false
}
