//! Data behind pointers that native code gets as a copy: its shapes, and the ops that copy.
use super::Compiler;
use super::expression::When;
use super::leaves::{Inner, Owner, Sides};
use crate::plan::layout::{Extent, Target as Memory, extent_of};
use crate::plan::op::{At, DeepOp, Null, Op, Ownership};
use crate::plan::shape::{Link, Reach, Shape, Target};
use crate::signature::{
    Expr, ExprKind, NoteKind, Prototype, Record, RecordBody, RecordKind, Scope, Type, TypeKind,
};
use std::collections::HashMap;
use std::sync::Arc;

mod fields;
mod in_place;
mod kept;
mod links;

/// What is known of shapes while a plan is made.
#[derive(Default)]
pub(super) struct Shapes<'a> {
    /// The type of each shape; its place in `all` is taken before it is complete.
    types: Vec<&'a Type>,
    pub(super) all: Vec<Option<Shape>>,
    pub(super) roots: Vec<Link>,
    /// Records that were looked up by their tags.
    pub(super) records: Vec<Record>,
    /// The record whose fields an expression may read.
    owner: Option<Owner<'a>>,
    /// Roots that are copied before the call.
    pub(super) copied: Vec<u16>,
}

/// Where an integer that an expression reads is.
pub(super) enum Base {
    /// In the object that the expression belongs to.
    Object,
    /// In the copy whose address is there.
    Behind(At),
}

impl<'a> Compiler<'a> {
    fn memories(&self) -> Sides<'a> {
        let memory = Memory::Guest(self.target.model);
        Sides { scope: self.target.scope, memory, abi: self.target.abi }
    }

    fn extents(&self, ty: &Type) -> Option<(Extent, Extent)> {
        let on = |target| extent_of(ty, self.target.scope, target).ok();
        Some((on(Memory::Guest(self.target.model))?, on(Memory::Host(self.target.abi))?))
    }

    /// Copies what a pointer parameter points at.
    pub(super) fn copy(&mut self, index: usize, ty: &'a Type, to: At, early: bool) {
        let name = self.all[index]
            .name
            .as_ref()
            .map_or_else(|| format!("parameter {}", index + 1), |name| name.to_string());
        let site = Inner { memory: 0, host: 0, ty, path: name, owner: None };
        let Some(link) = self.link(&site, When::Before, true) else { return };
        if ty.pointee().is_some_and(|pointee| self.is_boxed(&pointee.kind)) {
            return self.boxed(index, ty, to, link);
        }
        if let Some(field) = self.endless(&link) {
            self.error(
                ty.span,
                format!(
                    "`{field}` leads on without an end: it is never NULL, and circles are refused"
                ),
                "write `_Nullable` after the `*` of that field",
            );
        }
        if matches!(link.reach, Reach::One | Reach::Ends { .. })
            && matches!(link.target, Target::Data(_))
        {
            self.params[index].copy = Some(to);
        }
        let root = self.root(link);
        self.shapes.copied.push(root);
        let (slot, param) = (self.slots[index], super::index_of(index));
        let op = Op::Deep(DeepOp::Copy { slot, to, root, param });
        let list = if early { &mut self.before.read } else { &mut self.before.pointers };
        list.push(op);
    }

    pub(super) fn root(&mut self, link: Link) -> u16 {
        self.shapes.roots.push(link);
        super::index_of(self.shapes.roots.len() - 1)
    }

    /// Takes data that native code has left behind the pointer at `from`.
    pub(super) fn take_deep(
        &mut self,
        ty: &'a Type,
        from: At,
        to: At,
        owner: Ownership,
        param: u16,
    ) -> Option<()> {
        let site = Inner { memory: 0, host: 0, ty, path: "return".to_owned(), owner: None };
        let link = self.link(&site, When::After, true)?;
        if let Some(handle) = self.first_handle(&link) {
            self.error(
                ty.span,
                format!("`{handle}` is a handle inside of data that native code keeps"),
                "hand it out by a function of its own: a copy of the data cannot own it",
            );
            return None;
        }
        let root = self.root(link);
        let take = self.takes;
        self.takes = take.checked_add(1)?;
        let unless = None;
        self.after.checks.push(Op::Deep(DeepOp::Take { from, take, root, unless, param }));
        self.after.guest.push(Op::Give { take, to, from, owner, unless, param });
        Some(())
    }

    /// The shapes that a link leads to.
    fn reached(&self, link: &Link) -> Vec<u16> {
        let mut found: Vec<u16> = Vec::new();
        let mut next = vec![link.target];
        while let Some(target) = next.pop() {
            if let Target::Data(shape) = target
                && !found.contains(&shape)
            {
                found.push(shape);
                let shape = self.shapes.all.get(usize::from(shape)).and_then(Option::as_ref);
                next.extend(shape.iter().flat_map(|shape| &shape.links).map(|link| link.target));
            }
        }
        found
    }

    /// A field by which every object of its type needs another one.
    fn endless(&self, link: &Link) -> Option<String> {
        let needed = |shape: &u16| {
            let shape = self.shapes.all.get(usize::from(*shape)).and_then(Option::as_ref);
            let links = shape.into_iter().flat_map(|shape| &shape.links);
            links.filter(|link| {
                let alone = matches!(link.reach, Reach::One) && link.null == Null::Refused;
                alone && link.direction.is_in()
            })
        };
        for start in self.reached(link) {
            let (mut seen, mut next) = (Vec::new(), vec![start]);
            while let Some(shape) = next.pop() {
                for link in needed(&shape) {
                    match link.target {
                        Target::Data(to) if to == start => return Some(link.path.to_string()),
                        Target::Data(to) if !seen.contains(&to) => {
                            seen.push(to);
                            next.push(to);
                        }
                        _ => {}
                    }
                }
            }
        }
        None
    }

    pub(super) fn links_from<'s>(&'s self, link: &'s Link) -> impl Iterator<Item = &'s Link> {
        let shapes = self.reached(link).into_iter();
        let shapes = shapes.filter_map(|shape| self.shapes.all[usize::from(shape)].as_ref());
        std::iter::once(link).chain(shapes.flat_map(|shape| &shape.links))
    }

    fn first_handle(&self, link: &Link) -> Option<String> {
        let is_handle = |link: &&Link| matches!(link.target, Target::Handle { .. });
        self.links_from(link).find(is_handle).map(|link| link.path.to_string())
    }

    /// The ops that give copies back.
    pub(super) fn give_back(&mut self) {
        let out = |link: &Link| matches!(link.target, Target::Data(_)) && link.direction.is_out();
        let any = self
            .shapes
            .copied
            .iter()
            .any(|root| self.links_from(&self.shapes.roots[usize::from(*root)]).any(out));
        if any {
            self.after.checks.insert(0, Op::Deep(DeepOp::Settle));
            self.after.adopt.push(Op::Deep(DeepOp::Commit));
        }
        self.keep_functions();
    }

    /// The place of an integer that is a field, or behind a pointer whose data is copied.
    pub(super) fn place_of(&self, expr: &Expr) -> Option<(Base, u64, &'a Type)> {
        let on = Memory::Host(self.target.abi);
        let behind = |name: &Expr| {
            let ExprKind::Name(name) = &name.kind else { return None };
            let index = self.prototype.param_index(&name.name)?;
            let at = self.params[index].copy?;
            Some((Base::Behind(at), 0, self.prototype.function.params[index].ty.pointee()?))
        };
        let member = |(base, offset, ty): (Base, u64, &'a Type), name: &str| {
            let TypeKind::Record(record) = &ty.kind else { return None };
            let (inner, ty) = self.field(record, name, on)?;
            Some((base, offset + inner, ty))
        };
        match &expr.kind {
            ExprKind::Name(name) => {
                let owner = self.shapes.owner?;
                let (offset, ty) = self.field(owner.record, &name.name, on)?;
                // What the guest does not set, its copy does not have.
                if is_natives(ty) {
                    return None;
                }
                Some((Base::Object, owner.host + offset, ty))
            }
            ExprKind::Deref(inner) => behind(inner),
            ExprKind::Arrow(inner, field) => member(behind(inner)?, &field.name),
            ExprKind::Member(inner, field) => member(self.place_of(inner)?, &field.name),
            ExprKind::Integer(_)
            | ExprKind::Return
            | ExprKind::SizeOf(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Conditional(..)
            | ExprKind::Builtin(..)
            | ExprKind::Call(..) => None,
        }
    }
}

/// Whether an integer of a `__boxed` struct is one that only native code sets.
pub(super) fn is_natives(ty: &Type) -> bool {
    ty.pointee().is_none() && ty.has(|note| matches!(note, NoteKind::Private | NoteKind::Out))
}

/// The records with tags that a prototype has bodies of and its interface has not.
pub(super) fn own_records(
    prototype: &Prototype,
    scope: &Scope,
) -> HashMap<(RecordKind, Arc<str>), Arc<RecordBody>> {
    let mut found = HashMap::new();
    let function = &prototype.function;
    let params = function.params.iter().map(|param| &param.ty);
    let mut next: Vec<&Type> = params.chain([&function.result]).collect();
    while let Some(ty) = next.pop() {
        match &ty.kind {
            TypeKind::Pointer(inner) => next.push(inner),
            TypeKind::Array { element, .. } => next.push(element),
            TypeKind::Record(Record { kind, tag, body: Some(body) }) => {
                if let Some(tag) = tag {
                    let key = (*kind, Arc::clone(&tag.name));
                    if scope.records.contains_key(&key)
                        || found.insert(key, Arc::clone(body)).is_some()
                    {
                        continue;
                    }
                }
                next.extend(body.fields.iter().map(|field| &field.ty));
            }
            _ => {}
        }
    }
    found
}
