//! The call itself, and values that travel in pieces.
use super::*;

impl Executor<'_, '_, '_> {
    pub(super) fn move_one(&mut self, one: &Move, at: u64, size: u32, out: bool) {
        let (inner, outer) = (one.kind.memory_bytes(), one.kind.frame_bytes() as usize);
        assert!(
            one.memory.checked_add(inner).is_some_and(|end| end <= size),
            "trespass: {one:?} of a value of {size} bytes"
        );
        let (frame, place) = (FRAME + one.frame.offset() as u64, at + u64::from(one.memory));
        if out {
            let from = if matches!(one.kind, MoveKind::Clear(_)) {
                vec![0; outer]
            } else {
                self.memory.read(frame, outer as u64, "a move out")
            };
            let mut to = self.memory.read(place, inner.into(), "a move out");
            run(one.kind, &from, &mut to, true);
            self.memory.write(place, &to, "a move out");
        } else {
            let from = self.memory.read(place, inner.into(), "a move in");
            let mut to = if matches!(one.kind, MoveKind::Bits(_)) {
                self.memory.read(frame, outer as u64, "bits")
            } else {
                vec![0; outer]
            };
            run(one.kind, &from, &mut to, false);
            self.put(one.frame, &to);
        }
    }

    pub(super) fn load(&mut self, moves: u16, at: u64, size: u32) {
        let plan = self.plan;
        for one in &plan.moves[usize::from(moves)] {
            self.move_one(one, at, size, false);
        }
    }

    pub fn argument(memory: &Memory, value: &Value) -> Vec<u8> {
        let place = |location| {
            FRAME + FrameLayout::argument(location).expect("it has a place").offset() as u64
        };
        if let Some(location) = value.indirect {
            let at = memory.integer(place(location), 8, false, "an address of a value") as u64;
            return memory.read(at, value.extent.size, "a value by its address");
        }
        let size = usize::try_from(value.extent.size).expect("small");
        let mut bytes = vec![0; size];
        for piece in &value.pieces {
            let (start, len) =
                (usize::try_from(piece.offset).expect("small"), u64::from(piece.size));
            let found = memory.read(place(piece.location), len, "an argument");
            let end = (start + found.len()).min(size);
            bytes[start..end].copy_from_slice(&found[..end - start]);
        }
        if let (Some(scalar @ Scalar::Integer(_)), [piece]) = (value.scalar, &value.pieces[..])
            && size < 4
        {
            let wide = memory.read(place(piece.location), 4, "an extended argument");
            let right = whole(&wide, true) == whole(&bytes, scalar.is_signed())
                || whole(&wide, false) == whole(&bytes, false);
            assert!(right, "trespass: {bytes:?} is not extended: {wide:?}");
        }
        bytes
    }

    pub(super) fn call(&mut self, op: &Op) {
        let Op::Call { stub, returns } = *op else { panic!("trespass: {op:?}") };
        let (plan, abi, scope) = (self.plan, self.abi, self.scope);
        let function = &plan.prototype.function;
        let assignment: Assignment =
            assign(function, &Scope::default(), abi).expect("it was compiled");
        Self::loads(stub, &assignment);
        let FrameLayout { stack, size, .. } = plan.frame;
        assert!(
            FrameLayout::STACK + usize::from(stack) <= usize::from(size),
            "trespass: the stack area"
        );
        let mut native =
            Native::new((function, scope, abi), &assignment, &mut self.memory, &mut *self.source);
        native.closures.clone_from(&self.closures);
        native.is_data = plan.prototype.data.is_some();
        native.run(Self::argument);
        let returned = native.returned();
        let hidden = assignment.result.indirect;
        // Every result register has some value.
        let garbage: Vec<u8> = RECORD.map(|_| self.source.byte()).collect();
        self.called = true;
        self.memory.write(FRAME + RECORD.start as u64, &garbage, "the record");
        for (location, bytes) in returned {
            if let Some(hidden) = hidden {
                let place = FrameLayout::argument(hidden).expect("it has a place");
                let at = self.get64(place);
                assert!(
                    self.memory.what(at, bytes.len() as u64) == Some(What::Frame),
                    "trespass: a result at {at:#x}"
                );
                self.memory.write(at, &bytes, "a hidden result");
                // Which it returns.
                self.put64(FrameLayout::result_integer(), at);
            } else if let Some(at) = FrameLayout::result_register(location) {
                self.put(at, &bytes);
            }
        }
        if !plan.facts.after {
            let _ = self.give(returns, None);
        }
    }

    /// A stub that loads fewer registers than there are arguments in passes garbage.
    pub fn loads(stub: Stub, assignment: &Assignment) {
        let places = assignment.params.iter().chain([&assignment.result]);
        let mut all: Vec<Location> = places.clone().filter_map(|value| value.indirect).collect();
        all.extend(
            assignment.params.iter().flat_map(|value| &value.pieces).map(|piece| piece.location),
        );
        let vectors = all.iter().any(|location| matches!(location, Location::Vector(_)));
        let stack = all.iter().any(|location| matches!(location, Location::Stack(_)));
        let x87 = assignment
            .result
            .pieces
            .iter()
            .filter(|piece| matches!(piece.location, Location::X87(_)))
            .count();
        let enough = match stub {
            Stub::Integers => !vectors && !stack && x87 == 0,
            Stub::Registers => !stack && x87 == 0,
            Stub::Stack => x87 == 0 && assignment.stack_align <= 16,
            Stub::Whole { x87: loaded } => usize::from(loaded) == x87,
            Stub::Data(_) => all.is_empty(),
        };
        assert!(enough, "trespass: {stub:?} is not enough");
    }

    /// The result as the guest gets it.
    pub(super) fn give(&mut self, returns: Returns, from: Option<At>) -> Checked {
        let integer = FrameLayout::result_integer();
        let at = from.unwrap_or(match returns {
            Returns::Float32 | Returns::Float64 | Returns::Vector => FrameLayout::result_vector(),
            _ => integer,
        });
        match returns {
            Returns::Void | Returns::Record => return Ok(()),
            Returns::Vector => looked(self.get(at, 16)),
            Returns::Int8 | Returns::UInt8 | Returns::Bool => looked(self.get(at, 1)),
            Returns::Int16 | Returns::UInt16 => looked(self.get(at, 2)),
            Returns::Int32 | Returns::Float32 => looked(self.get(at, 4)),
            Returns::Int64 | Returns::Float64 => looked(self.get(at, 8)),
            Returns::Long32 => {
                looked(i32::try_from(whole(&self.get(at, 8), true)).map_err(|_| Stop)?)
            }
            Returns::ULong32 => {
                looked(u32::try_from(whole(&self.get(at, 8), false)).map_err(|_| Stop)?)
            }
        }
        if let TypeKind::Pointer(_) = self.plan.prototype.function.result.kind {
            let value = self.get64(at);
            let bits = if returns == Returns::Int64 { value } else { value & 0xffff_ffff };
            assert!(is_guests(bits), "trespass: the guest gets the native address {value:#x}");
        }
        Ok(())
    }
}
