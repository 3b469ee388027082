//! What native code writes and returns.
use super::*;

impl Native<'_, '_, '_> {
    /// Writes a value of a type that native code may return.
    pub fn produce(&mut self, ty: &Type, at: u64, within: Option<Within<'_>>, depth: u32) {
        let size = self.size(ty);
        match &ty.kind {
            TypeKind::Pointer(_) => {
                let value = self.made(ty, within, depth);
                self.memory.write(at, &value.to_le_bytes(), "native code");
            }
            TypeKind::Record(record) => {
                let fields = self.fields(record);
                let bytes: Vec<u8> = (0..size).map(|_| self.source.byte() % 9).collect();
                self.memory.write(at, &bytes, "native code");
                for pointers in [false, true] {
                    for (field, place) in &fields {
                        let is_pointer = matches!(field.kind, TypeKind::Pointer(_));
                        if is_pointer == pointers && place.bits.is_none() && place.size > 0 {
                            self.produce(
                                field,
                                at + place.offset,
                                Some(Within { record, at }),
                                depth,
                            );
                        }
                    }
                }
            }
            TypeKind::Array { element, .. } => {
                let one = self.size(element).max(1);
                for index in 0..(size / one).min(300) {
                    self.produce(element, at + index * one, within, depth);
                }
            }
            TypeKind::Bool => {
                let byte = self.source.byte() & 1;
                self.memory.write(at, &[byte], "native code");
            }
            _ => {
                let number = self.source.integer();
                let mut bytes = vec![
                    if number >> 63 == 1 { 0xff } else { 0 };
                    usize::try_from(size).expect("small")
                ];
                let low = bytes.len().min(8);
                bytes[..low].copy_from_slice(&number.to_le_bytes()[..low]);
                self.memory.write(at, &bytes, "native code");
            }
        }
    }

    /// A pointer that native code may return.
    pub(super) fn made(&mut self, ty: &Type, within: Option<Within<'_>>, depth: u32) -> u64 {
        let Some(pointee) = ty.pointee() else { return 0 };
        if depth > 3 || self.source.chance(60) {
            return 0;
        }
        if ty.has(|note| matches!(note, NoteKind::Cookie | NoteKind::Closure(_))) {
            let cookie = cookie::to_native(self.source.integer() as u32).unwrap_or(0);
            return if self.source.chance(40) { self.source.word() } else { cookie };
        }
        match &pointee.kind {
            TypeKind::Function(_) => return self.closures.first().copied().unwrap_or(0),
            TypeKind::Record(record) if self.is_opaque(record) => {
                let kind = ByTag.number(record);
                let known: Vec<u64> = self
                    .memory
                    .handles
                    .values()
                    .filter(|o| o.kind == kind && o.alive)
                    .map(|o| o.pointer)
                    .collect();
                return if known.is_empty() || self.source.chance(128) {
                    self.memory.opaque()
                } else {
                    self.source.pick(&known)
                };
            }
            TypeKind::Void if !ty.has(|note| matches!(note, NoteKind::SizedBy(_))) => return 0,
            _ => {}
        }
        let lent = self.is_data
            || ty.has(|note| matches!(note, NoteKind::LifetimeBound(_) | NoteKind::FreedBy(_)));
        let text = pointee.quals.is_const && pointee.kind == TypeKind::Integer(Integer::Char);
        if !lent && depth == 0 && (!text || self.source.chance(128)) {
            // What must lie in the guest's memory: whoever believes it has to look.
            return match self.source.below(4) {
                0 if !text => self.source.word(),
                1 if !text => super::super::machine::GUEST + self.source.integer() % 5000,
                _ => {
                    super::super::machine::GUEST
                        + self.source.integer() % (self.memory.guest_len() + 1)
                }
            };
        }
        let size = self.size(pointee);
        let terminated = ty.has(|note| *note == NoteKind::NullTerminated)
            || pointee.quals.is_const
                && pointee.kind == TypeKind::Integer(Integer::Char)
                && !ty.notes.iter().any(|note| {
                    matches!(
                        note.kind,
                        NoteKind::CountedBy(_)
                            | NoteKind::SizedBy(_)
                            | NoteKind::CountedByOrNull(_)
                            | NoteKind::Single
                    )
                });
        let by_field = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::TerminatedBy(field) => {
                record_of(pointee).and_then(|record| self.field(record, &field.name))
            }
            _ => None,
        });
        let count = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::CountedBy(e) | NoteKind::CountedByOrNull(e) => Some((e, 1)),
            NoteKind::SizedBy(e) => {
                Some((e, if pointee.kind == TypeKind::Void { 1 } else { size.max(1) }))
            }
            _ => None,
        });
        let elements = match count {
            _ if terminated || by_field.is_some() => 1 + u64::from(self.source.byte() % 4),
            Some((e, unit)) => {
                // A count without a value: nothing can be there.
                let Some(units) = self.value(e, within).and_then(|n| u64::try_from(n).ok()) else {
                    return 0;
                };
                if units > 1 << 14 {
                    return 0;
                }
                units / unit
            }
            None => 1,
        };
        let bytes = usize::try_from(elements * size).expect("not many");
        let at = self.memory.place(What::Native, vec![0; bytes]);
        let last = if terminated || by_field.is_some() { elements - 1 } else { elements };
        for element in 0..elements {
            if element < last {
                self.produce(pointee, at + element * size, None, depth + 1);
                // It must not end before its end.
                if terminated {
                    self.memory.write(at + element * size, &[1], "native code");
                } else if let Some((_, offset)) = &by_field {
                    self.memory.write(at + element * size + offset, &[1], "native code");
                }
            } else if by_field.is_some() {
                // The one that ends the array has values, too, but for what is zero.
                continue;
            }
        }
        at
    }

    /// What it returns, in its result registers or where it was told to.
    pub fn returned(&mut self) -> Vec<(Location, Vec<u8>)> {
        let ty = &self.function.result;
        if ty.kind == TypeKind::Void {
            return Vec::new();
        }
        let size = self.size(ty);
        let at =
            self.memory.place(What::Native, vec![0; usize::try_from(size.max(16)).expect("small")]);
        self.produce(ty, at, None, 0);
        if let Some(scalar) = scalar_of(ty).filter(|scalar| !scalar.is_float()) {
            self.result =
                Some(self.memory.integer(at, size, self.abi.is_signed(scalar), "a result"));
        }
        let value = &self.assignment.result;
        let bytes = self.memory.read(at, size, "a result");
        let mut pieces = Vec::new();
        for piece in &value.pieces {
            let start = usize::try_from(piece.offset).expect("small");
            let end = (start + usize::try_from(piece.size).expect("small")).min(bytes.len());
            pieces.push((piece.location, bytes[start..end].to_vec()));
        }
        if value.indirect.is_some() {
            pieces.push((Location::Stack(0), bytes));
        }
        pieces
    }
}
