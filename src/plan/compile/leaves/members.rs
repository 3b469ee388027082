//! What arrays, structs and unions are made of.
use super::fields::{is_boxed, own_direction, refuse_notes};
use super::merged::merged;
use super::{Leaf, MAX_LEAVES, Owner, Sides, Walk};
use crate::plan::layout::{Place, Target as Memory, body_of, record_on};
use crate::plan::moves::MoveKind;
use crate::signature::{Diagnostic, NoteKind, Record, RecordKind, Span, Type};

impl<'a> Walk<'a> {
    pub(super) fn array(
        &mut self,
        ty: &'a Type,
        element: &'a Type,
        memory: u64,
        host: u64,
    ) -> Result<(), Diagnostic> {
        let host_memory = Memory::Host(self.sides.abi);
        let (one, whole) = (self.size(element, host_memory)?, self.size(ty, host_memory)?);
        let one_in_memory = self.size(element, self.sides.memory)?;
        if one == 0 {
            return Ok(());
        }
        let first = self.all.len();
        let marks = self.inside.as_ref().map(|inside| {
            let found = [&inside.pointers, &inside.ranged, &inside.narrow].map(Vec::len);
            (found, inside.path.len(), inside.owner)
        });
        if let Some(inside) = &mut self.inside {
            // Every element gets its own number below.
            inside.path.push('\0');
        }
        self.add(element, memory, host)?;
        if let Some((found, path, owner)) = marks {
            self.repeat((found, path), (one, one_in_memory), whole / one, owner, ty.span)?;
            if let Some(inside) = &mut self.inside {
                inside.path.truncate(path);
                inside.owner = owner;
            }
        }
        let leaves = merged(self.all.split_off(first));
        // An array of plain bytes is one run of them.
        if let [Leaf { kind: MoveKind::Bytes(bytes), .. }] = leaves.as_slice()
            && u64::from(*bytes) == one
            && one == one_in_memory
        {
            return self.bytes(memory, host, whole, ty.span);
        }
        for index in 0..whole / one {
            for leaf in &leaves {
                let memory = leaf.memory + index * one_in_memory;
                self.push(memory, leaf.host + index * one, leaf.kind, ty.span)?;
            }
        }
        Ok(())
    }

    /// What was found in the first element of an array is in the others too. `before`: how much had
    /// been found before, `at`: the length of the path to the array.
    fn repeat(
        &mut self,
        (before, at): ([usize; 3], usize),
        (one, one_in_memory): (u64, u64),
        count: u64,
        outer: Option<Owner<'a>>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let Some(inside) = &mut self.inside else { return Ok(()) };
        let lists = [&mut inside.pointers, &mut inside.ranged, &mut inside.narrow];
        for (list, first) in lists.into_iter().zip(before) {
            let found = list.split_off(first);
            if found.is_empty() {
                continue;
            }
            for index in 0..count {
                if list.len() + found.len() > MAX_LEAVES {
                    let error = format!("this array has more than {MAX_LEAVES} members to look at");
                    return Err(Diagnostic::new(span, error).help("make it a buffer"));
                }
                list.extend(found.iter().cloned().map(|mut inner| {
                    inner.memory += index * one_in_memory;
                    inner.host += index * one;
                    inner.path.replace_range(at..=at, &format!("[{index}]"));
                    // A record of the element lies in each; one around the array does not.
                    let around = |own: &Owner<'_>| {
                        outer.is_some_and(|outer| {
                            std::ptr::eq(own.record, outer.record) && own.host == outer.host
                        })
                    };
                    if let Some(owner) = inner.owner.as_mut().filter(|own| !around(own)) {
                        owner.memory += index * one_in_memory;
                        owner.host += index * one;
                    }
                    inner
                }));
            }
        }
        Ok(())
    }

    pub(super) fn record(
        &mut self,
        record: &'a Record,
        span: Span,
        memory: u64,
        host: u64,
    ) -> Result<(), Diagnostic> {
        let Sides { scope, memory: kept, abi } = self.sides;
        let places = |on| {
            let laid_out = record_on(record, span, scope, on);
            laid_out.map_err(|error| Diagnostic::new(error.span, error.to_string()))
        };
        let ((_, in_memory), (_, on_host)) = (places(kept)?, places(Memory::Host(abi))?);
        let body = body_of(record, scope, span)
            .map_err(|error| Diagnostic::new(error.span, error.to_string()))?;
        let first = self.all.len();
        let mut pointers = 0;
        let mut around = (0, None);
        if let Some(inside) = &mut self.inside {
            pointers = inside.pointers.len();
            around = (inside.path.len(), inside.owner);
            // The members of a record without a name are those of the one around it.
            if !std::mem::take(&mut inside.unnamed) || inside.owner.is_none() {
                inside.owner = Some(Owner { record, memory, host });
            }
        }
        for ((field, kept), found) in body.fields.iter().zip(in_memory).zip(on_host) {
            if let Some(note) = field.ty.notes.iter().find(|_| self.is_guest())
                && self.inside.is_none()
            {
                let error = format!("`{}` in a struct that is passed by value", note.kind);
                return Err(Diagnostic::new(note.span, error)
                    .label("its members are moved, and not looked at")
                    .help("pass a pointer to it, or let a short C function take its members"));
            }
            if let Some(inside) = &mut self.inside {
                if field.ty.has(|note| *note == NoteKind::HostOnly) {
                    inside.host_only = true;
                    continue;
                }
                if is_boxed(record, scope) {
                    if around.1.is_some() {
                        let message = "a `__boxed` object lies in memory of its own";
                        return Err(Diagnostic::new(span, message).help("hold a pointer to it"));
                    }
                    if field.ty.has(|note| *note == NoteKind::Private) {
                        inside.host_only = true;
                        continue;
                    }
                }
                refuse_notes(field, around.1.is_none() && is_boxed(record, scope))?;
                inside.path.truncate(around.0);
                inside.unnamed = field.name.is_none();
                if let Some(name) = &field.name {
                    if around.0 > 0 {
                        inside.path.push('.');
                    }
                    inside.path.push_str(&name.name);
                }
            }
            if self.inside.is_some() && around.1.is_none() {
                self.direction = own_direction(field);
            }
            match (kept.bits, found.bits) {
                (None, None) => self.add(&field.ty, memory + kept.offset, host + found.offset)?,
                _ if field.name.is_none() => {} // padding
                _ => self.bit_field(kept, found, memory, host, field.ty.span)?,
            }
        }
        if let Some(inside) = &mut self.inside {
            inside.path.truncate(around.0);
            inside.owner = around.1;
            if record.kind == RecordKind::Union
                && let Some(pointer) = inside.pointers.get(pointers)
            {
                let error = "a pointer in a union: nothing says which member is in use";
                let help = "declare a struct with the member that this function uses";
                return Err(Diagnostic::new(pointer.ty.span, error).help(help));
            }
        }
        if record.kind == RecordKind::Union {
            let members = self.all.split_off(first);
            self.union(members, memory, host, span)?;
        }
        Ok(())
    }

    fn bit_field(
        &mut self,
        kept: Place,
        found: Place,
        memory: u64,
        host: u64,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let (Some(bits), true) = (found.bits, kept.bits == found.bits) else {
            let error = "the guest and the host have the bits of this bit-field elsewhere";
            let help = "declare it with a type that has one size: `int`, `long long`";
            return Err(Diagnostic::new(span, error).help(help));
        };
        let mut left = bits.width;
        let mut shift = bits.shift;
        for byte in 0..found.size {
            let here = left.min(8 - shift);
            let mask = u8::try_from(((1_u32 << here) - 1) << shift).unwrap_or(u8::MAX);
            let (memory, host) = (memory + kept.offset + byte, host + found.offset + byte);
            self.push(memory, host, MoveKind::Bits(mask), span)?;
            left -= here;
            shift = 0;
        }
        Ok(())
    }

    /// Members of a union lie over each other: the bytes of all of them are moved, as they are.
    fn union(
        &mut self,
        members: Vec<Leaf>,
        memory: u64,
        host: u64,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let mut masks = std::collections::BTreeMap::<u64, u8>::new();
        for leaf in members {
            let offset = leaf.host - host;
            let plain = match leaf.kind {
                MoveKind::Bytes(_) | MoveKind::Bits(_) | MoveKind::Bool => true,
                MoveKind::Clear(_)
                | MoveKind::Signed32
                | MoveKind::Unsigned32
                | MoveKind::Extended => false,
            };
            if !plain || leaf.memory - memory != offset {
                let error = "members of this union differ in the guest and on the host";
                let help = "declare a struct with the member that this function uses";
                return Err(Diagnostic::new(span, error).help(help));
            }
            let mask = if let MoveKind::Bits(mask) = leaf.kind { mask } else { u8::MAX };
            for byte in 0..u64::from(leaf.kind.frame_bytes()) {
                *masks.entry(offset + byte).or_default() |= mask;
            }
        }
        for (offset, mask) in masks {
            self.push(memory + offset, host + offset, MoveKind::Bits(mask), span)?;
        }
        Ok(())
    }
}
