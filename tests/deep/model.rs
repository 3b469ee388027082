//! What C must see of random data and what the guest must find afterwards, computed from the type
//! tree and the guest's bytes alone. No layout, plan or shape of the crate is asked.
use super::rng::Rng;
use super::types::{Field, Pointee, Scalar, Struct};

/// A guest's memory before and after a call, while it is being made.
pub struct Model<'r> {
    pub rng: &'r mut Rng,
    /// Size of `long` and of pointers.
    pub word: usize,
    pub before: Vec<u8>,
    pub after: Vec<u8>,
    pub next: usize,
    pub digest: u64,
    /// Handles, and what C finds behind each.
    pub handles: Vec<(u32, u32)>,
    /// The handle of what C puts where there was NULL.
    pub other: u32,
    /// What the function in front of a cookie was given; `None` when it is NULL.
    pub cookie: Option<u32>,
    /// How often C calls the guest.
    pub calls: u64,
}

/// What the guest's function at that index answers.
pub fn answer(index: u64, user: u32, x: i32) -> i32 {
    let index = i32::try_from(index).expect("small");
    user.cast_signed().wrapping_mul(2 * index + 1).wrapping_add(x.wrapping_mul(index + 3))
}

pub fn mix(h: u64, value: u64) -> u64 {
    (h ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(7)
}

impl Model<'_> {
    fn mix(&mut self, value: u64) {
        self.digest = mix(self.digest, value);
    }

    fn room(&mut self, bytes: usize, align: usize) -> usize {
        let at = self.next.next_multiple_of(align);
        self.next = at + bytes;
        assert!(self.next <= self.before.len(), "a guest needs more memory");
        at
    }

    fn put(&mut self, at: usize, before: &[u8], after: &[u8]) {
        self.before[at..at + before.len()].copy_from_slice(before);
        self.after[at..at + after.len()].copy_from_slice(after);
    }

    fn pointer(&mut self, at: usize, before: usize, after: usize) {
        let word = self.word;
        self.put(at, &before.to_le_bytes()[..word], &after.to_le_bytes()[..word]);
    }

    /// Size and alignment of a struct.
    pub fn extent(&self, ty: &Struct) -> (usize, usize) {
        let (mut end, mut most) = (0usize, 1);
        for field in &ty.fields {
            let (size, align) = self.field_extent(field);
            end = end.next_multiple_of(align) + size;
            most = most.max(align);
        }
        (end.next_multiple_of(most), most)
    }

    fn field_extent(&self, field: &Field) -> (usize, usize) {
        match field {
            Field::Scalar(scalar) => (scalar.size(self.word), scalar.size(self.word)),
            Field::Count => (2, 2),
            Field::Array(scalar, n) => (n * scalar.size(self.word), scalar.size(self.word)),
            Field::Nested(inner) => self.extent(inner),
            Field::NestedArray(inner, n) => {
                let (size, align) = self.extent(inner);
                (n * size, align)
            }
            Field::Pointer { .. }
            | Field::Handle
            | Field::Function { .. }
            | Field::Cookie { .. } => (self.word, self.word),
            Field::Handles | Field::Functions | Field::Cookies => (2 * self.word, self.word),
        }
    }

    /// A random struct at that address. `w`: C changes it.
    pub fn structure(&mut self, ty: &Struct, at: usize, w: bool) {
        let mut offset = 0usize;
        let mut count = 0;
        for field in &ty.fields {
            let (size, align) = self.field_extent(field);
            offset = offset.next_multiple_of(align);
            let place = at + offset;
            offset += size;
            match field {
                Field::Scalar(scalar) => self.scalar(*scalar, place, w),
                Field::Count => {
                    count = self.rng.below(4);
                    let bytes = u16::try_from(count).expect("small").to_le_bytes();
                    self.put(place, &bytes, &bytes);
                    self.mix(count as u64);
                }
                Field::Array(scalar, n) => {
                    for index in 0..*n {
                        self.scalar(*scalar, place + index * scalar.size(self.word), w);
                    }
                }
                Field::Nested(inner) => self.structure(inner, place, w),
                Field::NestedArray(inner, n) => {
                    for index in 0..*n {
                        let size = self.extent(inner).0;
                        self.structure(inner, place + index * size, w);
                    }
                }
                Field::Handle => self.handle(place, w),
                Field::Handles => self.two(place, w, Self::any_handle),
                Field::Functions => self.two(place, w, Self::called),
                Field::Cookies => self.cookies(place, w),
                Field::Function { nullable } => self.function(place, w, *nullable),
                Field::Cookie { closure } => self.own_cookie(place, w, *closure),
                Field::Pointer { to, constant, nullable } => {
                    self.leads(to, place, (w, !*constant), *nullable, count);
                }
            }
        }
    }

    /// Two pointers that C reports one after the other and then swaps.
    fn two(&mut self, place: usize, w: bool, one: fn(&mut Self) -> usize) {
        let (a, b) = (one(self), one(self));
        self.pointer(place, a, if w { b } else { a });
        self.pointer(place + self.word, b, if w { a } else { b });
    }

    fn any_handle(&mut self) -> usize {
        let chosen = self.rng.below(3);
        let (handle, behind) = self.handles.get(chosen).copied().unwrap_or((0, 0));
        self.mix(behind.into());
        handle as usize
    }

    /// A function that is called with NULL.
    fn called(&mut self) -> usize {
        let index = 1 + self.rng.below(4);
        self.call(index, 0);
        index
    }

    fn call(&mut self, index: usize, user: u32) {
        let x = self.digest as i32;
        let answer = answer(index as u64, user, x);
        self.mix(answer.cast_unsigned().into());
        self.calls += 1;
    }

    fn integer(&mut self) -> u32 {
        match self.rng.below(5) {
            0 => 0,
            1 => u32::MAX - 1,
            _ => (self.rng.next() as u32).min(u32::MAX - 1),
        }
    }

    fn function(&mut self, place: usize, w: bool, nullable: bool) {
        let user = self.integer();
        if nullable && self.rng.below(3) == 0 {
            self.mix(4);
            self.cookie = None;
            return self.pointer(place, 0, 0);
        }
        let index = 1 + self.rng.below(4);
        self.call(index, user);
        self.cookie = Some(user);
        self.pointer(place, index, if w && nullable { 0 } else { index });
    }

    /// The cookie behind a function.
    fn own_cookie(&mut self, place: usize, w: bool, closure: bool) {
        let null = closure && self.cookie.is_none();
        let user = self.cookie.take().unwrap_or_else(|| self.integer());
        self.mix(null.into());
        let after = if w && !null { user + 1 } else { user };
        self.pointer(place, user as usize, after as usize);
    }

    fn cookies(&mut self, place: usize, w: bool) {
        let (a, b) = (self.integer(), self.integer());
        self.mix(u64::from(b).wrapping_sub(a.into()));
        let (a, b) = (a as usize, b as usize);
        self.pointer(place, a, if w { b } else { a });
        self.pointer(place + self.word, b, if w { a } else { b });
    }

    fn handle(&mut self, place: usize, w: bool) {
        let chosen = self.rng.below(3);
        let (handle, behind) = self.handles.get(chosen).copied().unwrap_or((0, 0));
        self.mix(behind.into());
        let after = match (w, handle) {
            (false, handle) => handle,
            (true, 0) => self.other,
            (true, _) => 0,
        };
        self.pointer(place, handle as usize, after as usize);
    }

    /// A pointer field, and what it points at. `w`: C changes the field, and what is behind it.
    fn leads(&mut self, to: &Pointee, place: usize, w: (bool, bool), nullable: bool, count: usize) {
        let counted = matches!(to, Pointee::Structs(_) | Pointee::Scalars(_));
        let null = if counted {
            // Guest 0 is NULL where the count is 0, too.
            nullable && self.rng.below(4) == 0 || count == 0 && self.rng.below(2) == 0
        } else {
            nullable && self.rng.below(3) == 0
        };
        if null {
            self.mix(2);
            return self.pointer(place, 0, 0);
        }
        self.mix(1);
        let word = self.word;
        let (address, mut after) = match to {
            Pointee::One(inner) => {
                let (size, align) = self.extent(inner);
                let at = self.room(size, align);
                self.structure(inner, at, w.1);
                (at, at)
            }
            Pointee::Structs(inner) => {
                let (size, align) = self.extent(inner);
                let at = self.room(count * size, align);
                for index in 0..count {
                    self.structure(inner, at + index * size, w.1);
                }
                (at, at)
            }
            Pointee::Scalar(scalar) => {
                let at = self.room(scalar.size(word), scalar.size(word));
                self.scalar(*scalar, at, w.1);
                (at, at)
            }
            Pointee::Scalars(scalar) => {
                let size = scalar.size(word);
                let at = self.room(count * size, size);
                for index in 0..count {
                    self.scalar(*scalar, at + index * size, w.1);
                }
                (at, at)
            }
            Pointee::Text => {
                let (at, len) = self.text(w.1);
                (at, if w.0 && len > 0 { at + 1 } else { at })
            }
            Pointee::Texts => {
                let strings = self.rng.below(4);
                let at = self.room((strings + 1) * word, word);
                for index in 0..strings {
                    let (text, _) = self.text(w.1);
                    self.pointer(at + index * word, text, text);
                }
                self.pointer(at + strings * word, 0, 0);
                (at, at)
            }
        };
        if w.0 && nullable && !matches!(to, Pointee::Text) {
            after = 0;
        }
        self.pointer(place, address, after);
    }

    /// A string: where it is, and how long.
    fn text(&mut self, w: bool) -> (usize, usize) {
        let len = self.rng.below(9);
        let at = self.room(len + 1, 1);
        for index in 0..len {
            let byte = b'a' + u8::try_from(self.rng.below(26)).expect("small");
            self.mix(byte.into());
            let after = if w { byte.to_ascii_uppercase() } else { byte };
            self.put(at + index, &[byte], &[after]);
        }
        self.put(at + len, &[0], &[0]);
        self.mix(3);
        (at, len)
    }

    fn scalar(&mut self, scalar: Scalar, at: usize, w: bool) {
        let raw = self.rng.next();
        let size = scalar.size(self.word);
        // A guest's `bool` may be any byte.
        let raw = if scalar == Scalar::Bool && raw.is_multiple_of(3) { 0 } else { raw };
        let raw = match scalar {
            // No NaNs: negating them is C's own business.
            Scalar::F32 => u64::from((raw as i16 as f32).to_bits()),
            Scalar::F64 => f64::from(raw as i32).to_bits(),
            _ => raw,
        };
        let bytes = &raw.to_le_bytes()[..size];
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(wide);
        let shift = 64 - 8 * size as u32;
        let signed = ((unsigned << shift) as i64 >> shift) as u64;
        let seen = match scalar {
            Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::Long | Scalar::I64 => signed,
            Scalar::Bool => u64::from(unsigned != 0),
            _ => unsigned,
        };
        self.mix(seen);
        let changed = match scalar {
            Scalar::F32 => unsigned ^ 1 << 31,
            Scalar::F64 => unsigned ^ 1 << 63,
            Scalar::Bool => u64::from(seen == 0),
            _ => unsigned ^ 1,
        };
        let changed = changed.to_le_bytes();
        self.put(at, bytes, if w { &changed[..size] } else { bytes });
    }
}
