//! Shapes, and what the pointers in them lead to.
use super::super::expression::{When, integer_width};
use super::super::leaves::{Contents, Inner, Leaf, contents};
use super::super::params::{direction, is_text, uncounted_null};
use super::super::{Compiler, index_of};
use crate::plan::layout::{Scalar, Target as Memory, body_of, extent_of, record_on, scalar_of};
use crate::plan::op::{Direction, Null};
use crate::plan::shape::{Carry, Link, Reach, Shape, Target, Test};
use crate::signature::{Note, NoteKind, Record, Type, TypeKind};
use std::sync::Arc;

/// The largest object that is copied, in bytes: plans are checked byte by byte.
const MAX_OBJECT: u64 = 256 << 10;

impl<'a> Compiler<'a> {
    /// What a pointer leads to. `is_root`: it is a parameter or a result.
    pub(in super::super) fn link(
        &mut self,
        site: &Inner<'a>,
        when: When,
        is_root: bool,
    ) -> Option<Link> {
        let ty = site.ty;
        let pointee = ty.pointee()?;
        for Note { kind, span } in &ty.notes {
            match kind {
                NoteKind::CapturedBy(_)
                    if !is_root && !matches!(pointee.kind, TypeKind::Function(_)) =>
                {
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
                NoteKind::Remember(..) if !is_root => {
                    self.error(
                        *span,
                        format!("`{}` lies in data, which remembers nothing", site.path),
                        "pass the handle as a parameter of its own",
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
        if ty.has(|n| matches!(n, NoteKind::Cookie | NoteKind::Closure(_))) {
            link.target = self.cookie_in(site)?;
            return Some(link);
        }
        match &pointee.kind {
            TypeKind::Function(function) => {
                link.target = self.function_in(site, function)?;
                return Some(link);
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
                self.refuse_directions(ty)?;
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
    pub(in super::super) fn field(
        &self,
        record: &'a Record,
        name: &str,
        on: Memory,
    ) -> Option<(u64, &'a Type)> {
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
            return Some(index_of(index));
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
            direction: leaf.direction,
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
        Some(index_of(index))
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
}

/// Whether nothing says how far a pointer in a struct reaches: only native code sets it.
fn is_sizeless(ty: &Type, pointee: &Type) -> bool {
    let single = ty.has(|n| *n == NoteKind::Single);
    let bytes =
        scalar_of(pointee).is_some_and(|s| matches!(s, Scalar::Integer(_)) && s.host_size() == 1);
    pointee.kind == TypeKind::Void || bytes && !single
}
