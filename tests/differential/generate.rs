//! Random cases.
use crate::case::{
    BUFFERS, Batch, Case, Class, Count, Fault, Kind, MEMORY, MOST_PARAMS, Param, Returned, SCALARS,
    Scalar, Wasm, Way,
};
use crate::rng::Rng;

/// What a function is mostly made of, so that the registers of one kind run out too.
#[derive(Clone, Copy)]
enum Flavour {
    Mixed,
    Integers,
    Floating,
    Pointers,
}

/// A batch of `cases` random cases.
pub fn batch(number: usize, cases: usize, rng: &mut Rng) -> Batch {
    let wide = number % 4 == 3;
    let image = (0..MEMORY).map(|_| rng.next().to_le_bytes()[0]).collect();
    let cases = (0..cases).map(|number| one(number, wide, rng));
    let cases = cases.collect();
    Batch { number, wide, cases, image }
}

/// One random case.
pub fn one(number: usize, wide: bool, rng: &mut Rng) -> Case {
    Generator { rng, wide, params: Vec::new() }.case(number)
}

struct Generator<'r> {
    rng: &'r mut Rng,
    wide: bool,
    params: Vec<Param>,
}

impl Generator<'_> {
    fn case(mut self, number: usize) -> Case {
        let wanted = self.rng.below(MOST_PARAMS + 1);
        let flavour = match self.rng.below(10) {
            0..=4 => Flavour::Mixed,
            5 | 6 => Flavour::Integers,
            7 => Flavour::Floating,
            _ => Flavour::Pointers,
        };
        while self.params.len() < wanted {
            let room = wanted - self.params.len();
            self.add(flavour, room);
        }
        self.shuffle();
        self.tame_texts();
        self.place();
        let result = self.result();
        let by_prototype = self.rng.chance(1, 2);
        let mut case = Case { number, params: self.params, result, by_prototype, fault: None };
        if self.rng.chance(1, 8) {
            spoil(&mut case, self.wide, self.rng);
        }
        case
    }

    fn add(&mut self, flavour: Flavour, room: usize) {
        let pointers = match flavour {
            Flavour::Mixed => 40,
            Flavour::Integers | Flavour::Floating => 5,
            Flavour::Pointers => 80,
        };
        if !self.rng.chance(pointers, 100) {
            let ty = loop {
                let ty = *self.rng.pick(&SCALARS);
                let floating = matches!(ty.class, Class::Float | Class::Double);
                let fits = match flavour {
                    Flavour::Mixed | Flavour::Pointers => true,
                    Flavour::Integers => !floating,
                    Flavour::Floating => floating || self.rng.chance(1, 30),
                };
                if fits {
                    break ty;
                }
            };
            return self.scalar(ty, None);
        }
        match self.rng.below(10) {
            0..=3 => self.single(None),
            4..=7 => self.buffer(room),
            _ => self.text(),
        }
    }

    fn push(&mut self, kind: Kind, wasm: Wasm, bits: u64) {
        let constant = self.rng.chance(1, 2);
        self.params.push(Param { kind, wasm, bits, constant });
    }

    fn pointer(&mut self, kind: Kind) {
        let wasm = if self.wide { Wasm::I64 } else { Wasm::I32 };
        self.push(kind, wasm, 0);
    }

    /// A scalar of a random value, or of this one with garbage above its width.
    fn scalar(&mut self, ty: Scalar, value: Option<u64>) {
        let wasm = ty.wasm(self.wide, self.rng);
        let width = 8 * u32::try_from(ty.host_size()).expect("at most 8");
        let mut bits = match (value, self.rng.below(8)) {
            (Some(value), _) if width >= 32 => value,
            (Some(value), _) => value | self.rng.next() << width,
            (None, 0) => 0,
            (None, 1) => 1,
            (None, 2) => u64::MAX,
            (None, 3) => 1 << (width - 1),
            (None, 4) => (1 << (width - 1)) - 1,
            (None, 5) if width < 32 => 1 << width,
            (None, _) => self.rng.next(),
        };
        if matches!(wasm, Wasm::I32 | Wasm::F32) {
            bits &= 0xffff_ffff;
        }
        let extended = ty.host_size() < 4 && self.rng.chance(1, 2);
        self.push(Kind::Scalar { ty, extended }, wasm, bits);
    }

    /// A pointer to one scalar; to the count of a buffer, if there is one.
    fn single(&mut self, count: Option<u64>) {
        let counts = count.is_some();
        let ty = loop {
            let ty = *self.rng.pick(&SCALARS);
            if ty.class != Class::Bool && (!counts || ty.is_integer()) {
                break ty;
            }
        };
        let way = match self.rng.below(3) {
            0 => Way::In,
            1 if !counts => Way::Out,
            _ => Way::InOut,
        };
        let nullable = !counts && self.rng.chance(1, 4);
        let holds = count.unwrap_or_else(|| self.rng.next());
        let leaves = match ty.class {
            Class::Word(_) if !self.wide && ty.is_signed() => {
                extend(self.rng.next(), 32).cast_unsigned()
            }
            Class::Word(_) if !self.wide => self.rng.next() & 0xffff_ffff,
            _ => self.rng.next(),
        };
        self.pointer(Kind::Single { ty, way, nullable, counts, leaves, holds });
    }

    fn buffer(&mut self, room: usize) {
        let element = (!self.rng.chance(1, 6)).then(|| {
            loop {
                let ty = *self.rng.pick(&SCALARS);
                if ty.class != Class::Bool && ty.guest_size(self.wide) == ty.host_size() {
                    break ty;
                }
            }
        });
        let way = *self.rng.pick(&[Way::In, Way::Out, Way::InOut]);
        let own = self.params.len();
        let value = if self.rng.chance(1, 6) { 0 } else { u64_of(self.rng.below(24)) };
        let (count, elements) = match self.rng.below(if room < 2 { 1 } else { 5 }) {
            0 => (Count::Constant(value + 1), value + 1),
            1 => (Count::Cell(own + 1), value),
            2 => {
                let (times, plus) = (u64_of(self.rng.below(4)), u64_of(self.rng.below(5)));
                (Count::Linear(own + 1, times, plus), value * times + plus)
            }
            _ => (Count::Param(own + 1), value),
        };
        let nullable = element.is_some() && self.rng.chance(1, 5);
        self.pointer(Kind::Buffer { element, way, count, elements, nullable });
        match count {
            Count::Constant(_) => {}
            Count::Cell(_) => self.single(Some(value)),
            Count::Param(_) | Count::Linear(..) => {
                let ty = loop {
                    let ty = *self.rng.pick(&SCALARS);
                    if ty.is_integer() {
                        break ty;
                    }
                };
                self.scalar(ty, Some(value));
            }
        }
    }

    fn text(&mut self) {
        let length = u64_of(self.rng.below(40));
        let (mutable, nullable) = (self.rng.chance(1, 4), self.rng.chance(1, 4));
        self.pointer(Kind::Text { mutable, nullable, length });
    }

    fn shuffle(&mut self) {
        let mut order: Vec<usize> = (0..self.params.len()).collect();
        self.rng.shuffle(&mut order);
        let mut to = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            to[*old] = new;
        }
        let mut params: Vec<Param> = order.iter().map(|old| self.params[*old].clone()).collect();
        for param in &mut params {
            if let Kind::Buffer { count, .. } = &mut param.kind {
                *count = count.moved(&to);
            }
        }
        self.params = params;
    }

    /// A string that the function writes to must be all that it writes to in the guest's memory
    /// itself: otherwise it could lose its end to something else.
    fn tame_texts(&mut self) {
        let wide = self.wide;
        let writes = |kind: &Kind| match kind {
            Kind::Scalar { .. } => false,
            Kind::Buffer { way, .. } => *way != Way::In,
            Kind::Single { way, .. } => *way != Way::In && kind.is_in_place(wide),
            Kind::Text { mutable, .. } => *mutable,
        };
        if self.params.iter().filter(|param| writes(&param.kind)).count() > 1 {
            for param in &mut self.params {
                if let Kind::Text { mutable, .. } = &mut param.kind {
                    *mutable = false;
                }
            }
        }
    }

    /// Gives every pointer its address. Nothing overlaps; one of them ends with the memory.
    fn place(&mut self) {
        let mut free = MEMORY;
        let largest = if self.wide { u64::MAX } else { u64::from(u32::MAX) };
        for at in 0..self.params.len() {
            let kind = self.params[at].kind.clone();
            let (nullable, empty) = match &kind {
                Kind::Scalar { .. } => continue,
                Kind::Buffer { nullable, elements, .. } => (*nullable, *elements == 0),
                Kind::Single { nullable, .. } | Kind::Text { nullable, .. } => (*nullable, false),
            };
            self.params[at].bits = if nullable && self.rng.chance(1, 3) {
                0
            } else if empty {
                *self.rng.pick(&[0, 1, MEMORY - 1, MEMORY, MEMORY + 1, largest])
            } else {
                let gap = if free == MEMORY { 0 } else { u64_of(self.rng.below(9)) };
                free -= kind.guest_bytes(self.wide) + gap;
                free -= free % kind.align(self.wide);
                assert!(free >= BUFFERS, "all buffers together fit into one page");
                free
            };
        }
    }

    fn result(&mut self) -> Returned {
        match self.rng.below(10) {
            0 => return Returned::Void,
            1 | 2 => {
                if let Some(pointer) = self.pointer_result() {
                    return pointer;
                }
            }
            _ => {}
        }
        let ty = *self.rng.pick(&SCALARS);
        let wasm = ty.wasm(self.wide, self.rng);
        let value = match ty.class {
            Class::Bool => self.rng.next() & 1,
            Class::Word(_) if wasm == Wasm::I32 && ty.is_signed() => {
                extend(self.rng.next(), 32).cast_unsigned()
            }
            Class::Word(_) if wasm == Wasm::I32 => self.rng.next() & 0xffff_ffff,
            _ => self.rng.next(),
        };
        let garbage = (ty.host_size() < 8 && self.rng.chance(2, 3)).then(|| self.rng.next());
        Returned::Scalar { ty, wasm, value, garbage }
    }

    fn pointer_result(&mut self) -> Option<Returned> {
        if self.rng.chance(1, 8) {
            return Some(Returned::NoText);
        }
        let candidates: Vec<(usize, u64)> = self
            .params
            .iter()
            .enumerate()
            .filter(|(_, param)| param.bits != 0)
            .filter_map(|(at, param)| match param.kind {
                Kind::Text { length, .. } => Some((at, u64_of(self.rng.below(40)) % (length + 1))),
                Kind::Buffer { element: Some(ty), elements, .. }
                    if ty.host_size() > 1 && elements > 0 =>
                {
                    // One past the last element is a pointer that C may return, too.
                    let element = u64_of(self.rng.below(40)) % (elements + 1);
                    Some((at, element * u64_of(ty.host_size())))
                }
                _ => None,
            })
            .collect();
        let (param, offset) = *candidates.get(self.rng.below(candidates.len().max(1)))?;
        Some(Returned::Inside { param, offset })
    }
}

/// Makes something wrong with a call, if there is anything to make wrong.
fn spoil(case: &mut Case, wide: bool, rng: &mut Rng) {
    let mut faults = Vec::new();
    for (at, param) in case.params.iter().enumerate() {
        let kind = &param.kind;
        if !kind.is_pointer() || kind.guest_bytes(wide) == 0 {
            continue;
        }
        let nullable = match kind {
            Kind::Scalar { .. } => continue,
            Kind::Buffer { nullable, .. }
            | Kind::Single { nullable, .. }
            | Kind::Text { nullable, .. } => *nullable,
        };
        if !nullable {
            faults.push(Fault::Null(at));
        }
        faults.push(Fault::PastEnd(at));
        let end = param.bits.checked_add(kind.guest_bytes(wide));
        if matches!(kind, Kind::Text { .. }) && end == Some(MEMORY) {
            faults.extend([Fault::Unterminated(at); 3]);
        }
        if kind.align(wide) > 1 && param.bits != 0 {
            faults.push(Fault::Misaligned(at));
        }
        if let Kind::Single { ty: Scalar { class: Class::Word(_), .. }, way, .. } = kind
            && *way != Way::In
            && param.bits != 0
            && !wide
        {
            faults.extend([Fault::CellTooLarge(at); 3]);
        }
    }
    if let Returned::Scalar { ty: Scalar { class: Class::Word(_), .. }, wasm: Wasm::I32, .. } =
        case.result
    {
        faults.push(Fault::ResultTooLarge);
    }
    if faults.is_empty() {
        return;
    }
    let fault = *rng.pick(&faults);
    let largest = if wide { u64::MAX } else { u64::from(u32::MAX) };
    let too_large = |signed: bool, rng: &mut Rng| match (signed, rng.below(2)) {
        (true, 0) => (i64::from(i32::MIN) - 1).cast_unsigned(),
        (true, _) => u64::from(i32::MAX.unsigned_abs()) + 1,
        (false, 0) => u64::from(u32::MAX) + 1,
        (false, _) => u64::MAX,
    };
    match fault {
        Fault::Null(at) => case.params[at].bits = 0,
        Fault::PastEnd(at) => {
            let kind = &case.params[at].kind;
            let nearest = match kind {
                Kind::Text { .. } => MEMORY,
                _ => MEMORY - kind.guest_bytes(wide) + 1,
            };
            case.params[at].bits = *rng.pick(&[nearest, MEMORY, largest]);
        }
        Fault::Misaligned(at) => case.params[at].bits -= 1,
        Fault::Unterminated(at) => {
            // It ended with the memory; now its NUL would be one byte further.
            let Kind::Text { length, .. } = &mut case.params[at].kind else { return };
            *length += 1;
        }
        Fault::CellTooLarge(at) => {
            let Kind::Single { ty, leaves, .. } = &mut case.params[at].kind else { return };
            *leaves = too_large(ty.is_signed(), rng);
        }
        Fault::ResultTooLarge => {
            let Returned::Scalar { ty, value, .. } = &mut case.result else { return };
            *value = too_large(ty.is_signed(), rng);
        }
    }
    case.fault = Some(fault);
}

/// Sign-extends the low bits.
fn extend(bits: u64, width: u32) -> i64 {
    (bits << (64 - width)).cast_signed() >> (64 - width)
}

fn u64_of(n: usize) -> u64 {
    u64::try_from(n).expect("a small number")
}
