//! Data behind pointers that native code gets as a copy: its shapes, and the ops that copy.
use super::Compiler;
use super::expression::{When, integer_width};
use super::leaves::{Contents, Inner, Leaf, Owner, Sides, contents};
use super::params::{direction, is_text, uncounted_null};
use crate::plan::abi::Abi;
use crate::plan::layout::{
    Extent, Scalar, Target as Memory, body_of, extent_of, record_on, scalar_of,
};
use crate::plan::moves::MoveKind;
use crate::plan::op::{At, DeepOp, Direction, Null, Op, Ownership};
use crate::plan::shape::{Carry, Link, Reach, Shape, Target, Test};
use crate::signature::{
    Expr, ExprKind, Float, Note, NoteKind, Prototype, Record, RecordBody, RecordKind, Scope, Type,
    TypeKind,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The largest object that is copied, in bytes: plans are checked byte by byte.
const MAX_OBJECT: u64 = 256 << 10;

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

    /// Size and alignment of data that is the same bytes on both sides, as the host has it. `read`:
    /// native code reads it, so that a `bool` must be one.
    pub(super) fn plain(&self, ty: &Type, read: bool) -> Option<Extent> {
        if ty.kind == TypeKind::Void {
            return Some(Extent { size: 1, align: 1 });
        }
        let (guest, host) = self.extents(ty)?;
        if guest.size != host.size {
            return None;
        }
        if let Some(scalar) = scalar_of(ty) {
            let converted = scalar == Scalar::Bool && read;
            let ranged = ty.has(|note| matches!(note, NoteKind::Range(..)));
            let extended =
                scalar == Scalar::Float(Float::LongDouble) && self.target.abi == Abi::SysvX86_64;
            let other = scalar == Scalar::Pointer || converted || ranged || extended;
            return (!other).then_some(host);
        }
        if ty.quals.is_atomic {
            return None;
        }
        let Contents { leaves, pointers, ranged, narrow: _, host_only } =
            contents(ty, self.memories()).ok()?;
        let same = |leaf: &Leaf| {
            leaf.memory == leaf.host
                && match leaf.kind {
                    MoveKind::Bytes(_) | MoveKind::Bits(_) => true,
                    MoveKind::Bool => !read,
                    MoveKind::Clear(_)
                    | MoveKind::Signed32
                    | MoveKind::Unsigned32
                    | MoveKind::Extended => false,
                }
        };
        let plain = pointers.is_empty() && ranged.is_empty() && !host_only;
        (plain && leaves.iter().all(same)).then_some(host)
    }

    /// Whether native code cannot write to the guest's memory through the parameters other than
    /// `index`, nor to the call's copies of it through pointers that are in them.
    pub(super) fn others_only_read(&self, index: usize) -> bool {
        let quiet = |ty: &Type| {
            let Some(pointee) = ty.pointee() else { return true };
            match &pointee.kind {
                TypeKind::Function(_) => true,
                TypeKind::Record(record) if !self.is_complete(record) => true,
                // A cell of the call's own.
                TypeKind::Pointer(_) => {
                    let counted = |note: &NoteKind| {
                        use NoteKind::{CountedBy, CountedByOrNull, NullTerminated, SizedBy};
                        matches!(
                            note,
                            CountedBy(_) | CountedByOrNull(_) | SizedBy(_) | NullTerminated
                        )
                    };
                    direction(ty, pointee) == Direction::Out && !ty.has(counted)
                        || !pointee.quals.is_const
                            && !ty.has(counted)
                            && !ty.has(|n| matches!(n, NoteKind::In | NoteKind::Inout))
                }
                TypeKind::Void => pointee.quals.is_const,
                _ => {
                    let found = contents(pointee, self.memories());
                    pointee.quals.is_const && found.is_ok_and(|found| found.pointers.is_empty())
                }
            }
        };
        self.all.iter().enumerate().all(|(other, param)| other == index || quiet(&param.ty))
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
            return self.boxed(index, ty, to, link, early);
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

    fn links_from<'s>(&'s self, link: &'s Link) -> impl Iterator<Item = &'s Link> {
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
    }

    /// What a pointer leads to. `is_root`: it is a parameter or a result.
    fn link(&mut self, site: &Inner<'a>, when: When, is_root: bool) -> Option<Link> {
        let ty = site.ty;
        let pointee = ty.pointee()?;
        for Note { kind, span } in &ty.notes {
            match kind {
                NoteKind::Cookie | NoteKind::Closure(_) => {
                    self.error(
                        *span,
                        format!("`{}` is a cookie inside of other data", site.path),
                        "pass cookies as parameters: a short C function can fill in the struct",
                    );
                    return None;
                }
                NoteKind::CapturedBy(_) => {
                    self.error(
                        *span,
                        format!(
                            "`{}` would be kept, but the data it lies in is the call's",
                            site.path
                        ),
                        "pass what native code keeps as a parameter of its own",
                    );
                    return None;
                }
                NoteKind::FreedBy(_) | NoteKind::LifetimeBound(_) if !is_root => {
                    self.error(
                        *span,
                        "what a pointer inside of other data points at has no owner of its own",
                        "say it of the data as a whole, or hand the pointer out alone",
                    );
                    return None;
                }
                _ => {}
            }
        }
        let offset = |offset: u64| u32::try_from(offset).unwrap_or(u32::MAX);
        let mut link = Link {
            guest: offset(site.memory),
            host: offset(site.host),
            path: site.path.as_str().into(),
            target: Target::Native,
            reach: Reach::One,
            null: uncounted_null(ty),
            direction: Direction::In,
        };
        match &pointee.kind {
            TypeKind::Function(_) => {
                self.error(
                    ty.span,
                    format!("`{}` is a callback inside of other data", site.path),
                    "pass callbacks as parameters: a short C function can fill in the struct",
                );
                return None;
            }
            TypeKind::Record(record) if !self.is_complete(record) => {
                if self.is_exclusive(ty) {
                    self.error(
                        ty.span,
                        format!(
                            "`{}` is `__exclusive`, and nobody holds what lies in data",
                            site.path
                        ),
                        "pass it as a parameter of its own",
                    );
                    return None;
                }
                let kind = self.kind(record);
                let borrowed = ty.has(|n| *n == NoteKind::Borrowed);
                link.target = Target::Handle { kind, borrowed };
                return Some(link);
            }
            record if self.is_boxed(record) && (!is_root || when == When::After) => {
                let message = "a `__boxed` object is only passed by a pointer of its own";
                self.error(ty.span, message, "pass it as a parameter");
                return None;
            }
            _ => {}
        }
        link.direction = self.link_direction(ty, pointee, is_root)?;
        let counted = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::CountedBy(e) => Some((e, false, false)),
            NoteKind::CountedByOrNull(e) => Some((e, false, true)),
            NoteKind::SizedBy(e) => Some((e, pointee.kind != TypeKind::Void, false)),
            _ => None,
        });
        if let Some((expr, bytes, or_null)) = counted {
            self.shapes.owner = site.owner;
            let expr = self.expression(expr, when);
            self.shapes.owner = None;
            link.reach = Reach::Counted { expr: expr?, bytes };
            link.null = if ty.has(|n| *n == NoteKind::Nonnull) {
                Null::Refused
            } else if or_null || ty.has(|n| *n == NoteKind::Nullable) {
                Null::Allowed
            } else {
                Null::IfEmpty
            };
        } else if let Some(field) = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::TerminatedBy(field) => Some(field),
            _ => None,
        }) {
            link.reach = self.ends(pointee, Some(&field.name))?;
        } else if is_text(ty) {
            link.reach = self.ends(pointee, None)?;
        } else if !is_root && is_sizeless(ty, pointee) {
            return Some(link);
        }
        let in_place = matches!(link.reach, Reach::One | Reach::Counted { .. })
            && !matches!(pointee.kind, TypeKind::Record(_))
            && !is_root;
        let plain = self.plain(pointee, link.direction.is_in()).filter(|_| in_place);
        if let Some(extent) = plain {
            if let Reach::Counted { bytes: bytes @ true, .. } = &mut link.reach {
                *bytes = false;
                link.target = Target::Bytes { size: 1, align: u8::try_from(extent.align).ok()? };
            } else {
                let size = u32::try_from(extent.size).ok()?;
                link.target = Target::Bytes { size, align: u8::try_from(extent.align).ok()? };
            }
            return Some(link);
        }
        if pointee.kind == TypeKind::Void {
            self.error(ty.span, format!("`{}` has no size", site.path), "write `__sized_by(n)`");
            return None;
        }
        link.target = Target::Data(self.shape(pointee)?);
        Some(link)
    }

    fn link_direction(&mut self, ty: &Type, pointee: &Type, is_root: bool) -> Option<Direction> {
        if ty.has(|n| *n == NoteKind::Inout) {
            return Some(Direction::InOut);
        }
        let said = ty.has(|n| matches!(n, NoteKind::In | NoteKind::Out));
        let pointers = pointee.pointee().is_some() && !pointee.quals.is_const;
        if pointers && !said {
            if is_text(ty) {
                return Some(Direction::In);
            }
            if !is_root {
                self.error(
                    ty.span,
                    "this does not say which way its pointers go",
                    "add `_In_`, `_Out_` or `_Inout_`, or make the pointers `const`",
                );
                return None;
            }
            return Some(Direction::Out);
        }
        Some(direction(ty, pointee))
    }

    /// Elements that end with one whose field, or all of it, is zero.
    fn ends(&mut self, element: &'a Type, field: Option<&str>) -> Option<Reach> {
        let (mut at, mut ty) = ((0, 0), element);
        if let (Some(name), TypeKind::Record(record)) = (field, &element.kind) {
            let (guest, _) = self.field(record, name, Memory::Guest(self.target.model))?;
            let (host, found) = self.field(record, name, Memory::Host(self.target.abi))?;
            (at, ty) = ((guest, host), found);
        }
        let (guest, host) = self.extents(ty)?;
        let word = |size: u64| u8::try_from(size).ok().filter(|_| scalar_of(ty).is_some());
        Some(Reach::Ends {
            guest: u32::try_from(at.0).ok()?,
            host: u32::try_from(at.1).ok()?,
            guest_bytes: word(guest.size)?,
            host_bytes: word(host.size)?,
        })
    }

    /// Offset and type of a field that is no bit-field; fields of records without a name are those
    /// of the one around them.
    fn field(&self, record: &'a Record, name: &str, on: Memory) -> Option<(u64, &'a Type)> {
        let span = self.prototype.span;
        let body = body_of(record, self.target.scope, span).ok()?;
        let (_, places) = record_on(record, span, self.target.scope, on).ok()?;
        body.fields.iter().zip(places).find_map(|(field, place)| {
            match (&field.name, &field.ty.kind) {
                (Some(own), _) if *own.name == *name => {
                    let missing = field.ty.has(|n| *n == NoteKind::HostOnly);
                    (place.bits.is_none() && !missing).then_some((place.offset, &field.ty))
                }
                (None, TypeKind::Record(inner)) => {
                    let (offset, ty) = self.field(inner, name, on)?;
                    Some((place.offset + offset, ty))
                }
                _ => None,
            }
        })
    }

    /// The number of a type's shape.
    fn shape(&mut self, ty: &'a Type) -> Option<u16> {
        let same = |known: &&Type| known.kind == ty.kind && known.notes == ty.notes;
        if let Some(index) = self.shapes.types.iter().position(same) {
            return Some(super::index_of(index));
        }
        let index = self.shapes.types.len();
        self.shapes.types.push(ty);
        self.shapes.all.push(None);
        if let TypeKind::Record(Record { kind, tag: Some(tag), body: None }) = &ty.kind {
            let key = (*kind, Arc::clone(&tag.name));
            let body = self.target.scope.records.get(&key).map(Arc::clone);
            self.shapes.records.push(Record { kind: *kind, tag: Some(tag.clone()), body });
        }
        let guest_memory = Memory::Guest(self.target.model);
        let host_memory = Memory::Host(self.target.abi);
        let mut extents = |on| match extent_of(ty, self.target.scope, on) {
            Ok(extent) if extent.size <= MAX_OBJECT => Some(extent),
            Ok(_) => {
                let error = format!("an object of more than {MAX_OBJECT} bytes is not copied");
                self.error(ty.span, error, "declare its arrays as buffers behind pointers");
                None
            }
            Err(error) => {
                self.error(error.span, error.to_string(), "name a complete type");
                None
            }
        };
        let guest = extents(guest_memory)?;
        let host = extents(host_memory)?;
        let small = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        let Contents { leaves, pointers, ranged, narrow, host_only: _ } =
            contents(ty, self.memories()).map_err(|error| self.errors.push(error)).ok()?;
        let carry = |leaf: &Leaf| Carry {
            guest: small(leaf.memory),
            host: small(leaf.host),
            kind: leaf.kind,
        };
        let moves = leaves.iter().map(carry).collect();
        let name = |inner: &Inner<'_>| (small(inner.host), inner.path.as_str().into());
        let names = narrow.iter().map(name).collect();
        let tests = ranged.iter().map(|inner| self.test(inner)).collect::<Option<_>>()?;
        let links = pointers.iter().map(|inner| self.link(inner, When::Before, false));
        let links = links.collect::<Option<_>>()?;
        let mut bare = ty.clone();
        bare.notes.clear();
        bare.quals = crate::signature::Qualifiers::default();
        self.shapes.all[index] = Some(Shape {
            name: bare.as_written().to_string().into(),
            guest_size: small(guest.size),
            guest_align: guest.align,
            host_size: small(host.size),
            host_align: host.align,
            moves,
            names,
            tests,
            links,
        });
        Some(super::index_of(index))
    }

    fn test(&mut self, inner: &Inner<'a>) -> Option<Test> {
        let width = scalar_of(inner.ty).and_then(|s| integer_width(s, self.target.abi));
        let Some(width) = width else {
            self.error(inner.ty.span, "this cannot have a `__range`", "write it after an integer");
            return None;
        };
        self.shapes.owner = inner.owner;
        let mut intervals = Vec::new();
        for note in &inner.ty.notes {
            if let NoteKind::Range(low, high) = &note.kind {
                let low = self.expression(low, When::Before);
                intervals.push((low, self.expression(high, When::Before)));
            }
        }
        self.shapes.owner = None;
        let intervals = intervals.into_iter().map(|(low, high)| Some((low?, high?)));
        Some(Test {
            host: u32::try_from(inner.host).ok()?,
            width,
            intervals: intervals.collect::<Option<_>>()?,
            path: inner.path.as_str().into(),
        })
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

/// Whether nothing says how far a pointer in a struct reaches: only native code sets it.
fn is_sizeless(ty: &Type, pointee: &Type) -> bool {
    let single = ty.has(|n| *n == NoteKind::Single);
    let bytes =
        scalar_of(pointee).is_some_and(|s| matches!(s, Scalar::Integer(_)) && s.host_size() == 1);
    pointee.kind == TypeKind::Void || bytes && !single
}
