//! Pointers in data that lead to no data: guest functions, and cookies.
use super::super::Compiler;
use super::super::leaves::Inner;
use super::super::params::Pointee;
use crate::plan::frame::FrameLayout;
use crate::plan::layout::Target as Memory;
use crate::plan::op::{DeepOp, Op};
use crate::plan::shape::{Keep, Link, Target};
use crate::signature::{Captor, Function, Ident, Note, NoteKind, Type};

impl<'a> Compiler<'a> {
    /// A pointer to a function, in an object.
    pub(super) fn function_in(&mut self, site: &Inner<'a>, function: &Function) -> Option<Target> {
        self.refuse_directions(site.ty)?;
        if self.is_called {
            // The guest is given its own index: no closure is made, whose plan might lead here again.
            let keep = self.keep(site.ty)?;
            return Some(Target::Function { callback: None, keep });
        }
        let last = site.path.rsplit('.').next().unwrap_or_default();
        let name: String = last.chars().take_while(|c| *c != '[').collect();
        let name = if name.is_empty() { "callback" } else { &name };
        let name = Ident { name: name.into(), span: site.ty.span };
        let callback = Some(self.callback_of(function, site.ty, Some(&name))?);
        let keep = self.keep(site.ty)?;
        Some(Target::Function { callback, keep })
    }

    /// How long native code may call a function that it finds in data.
    fn keep(&mut self, ty: &Type) -> Option<Keep> {
        let captor = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::CapturedBy(captor) => Some(captor),
            _ => None,
        });
        match captor {
            None => Some(Keep::Call),
            Some(Captor::Global) => Some(Keep::Library),
            Some(Captor::Return) => Some(Keep::Result),
            Some(Captor::Param(name)) => {
                let index = self.prototype.param_index(&name.name);
                let opaque = |index: usize| self.pointee(self.ty(index));
                let handle = index.filter(|index| matches!(opaque(*index), Pointee::Opaque(_)));
                if handle.is_none() {
                    self.error(
                        name.span,
                        format!("`{name}` is no handle that `{}` is given", self.prototype.name),
                        "who keeps the function is a parameter of each function that is passed this struct",
                    );
                }
                Some(Keep::Slot(self.slots[handle?]))
            }
        }
    }

    /// An integer that C carries, in an object.
    pub(super) fn cookie_in(&mut self, site: &Inner<'a>) -> Option<Target> {
        self.refuse_directions(site.ty)?;
        let callback = site.ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::Closure(callback) => Some(callback),
            _ => None,
        });
        let Some(callback) = callback else { return Some(Target::Cookie { with: None }) };
        let memory = Memory::Guest(self.target.model);
        let found = site.owner.and_then(|owner| {
            let (offset, _) = self.field(owner.record, &callback.name, memory)?;
            u32::try_from(owner.memory + offset).ok()
        });
        if found.is_none() {
            self.error(
                callback.span,
                format!("`{callback}` is no field beside `{}`", site.path),
                "name a pointer to a function in the same struct, or write `__cookie`",
            );
        }
        Some(Target::Cookie { with: Some(found?) })
    }

    pub(super) fn refuse_directions(&mut self, ty: &Type) -> Option<()> {
        let way =
            |note: &&Note| matches!(note.kind, NoteKind::In | NoteKind::Out | NoteKind::Inout);
        let Some(note) = ty.notes.iter().find(way) else { return Some(()) };
        self.error(
            note.span,
            "this leads to no data that could go one way or the other",
            "say it of the pointer to the struct",
        );
        None
    }

    /// What native code keeps of the functions in copies.
    pub(super) fn keep_functions(&mut self) {
        let kept = |link: &Link| match link.target {
            Target::Function { keep, .. } => Some(keep),
            _ => None,
        };
        let keeps: Vec<Keep> = self
            .shapes
            .copied
            .iter()
            .flat_map(|root| self.links_from(&self.shapes.roots[usize::from(*root)]))
            .filter_map(kept)
            .collect();
        if keeps.iter().any(|keep| matches!(keep, Keep::Slot(_) | Keep::Library)) {
            self.after.facts.push(Op::Deep(DeepOp::KeepFunctions { made: None }));
        }
        if keeps.contains(&Keep::Result) {
            let Some(made) = self.adopted(FrameLayout::result_integer()) else {
                self.error(
                    self.prototype.function.result.span,
                    "the result is no handle that could keep a function",
                    "name a parameter, or write `__escapes`",
                );
                return;
            };
            self.after.store.push(Op::Deep(DeepOp::KeepFunctions { made: Some(made) }));
        }
    }
}
