//! The call: words into registers and onto the stack, and results back.
use super::places::{Word, is_vector_image};
use super::{After, Lower, internal};
use crate::cranelift_backend::helpers::Helper;
use crate::cranelift_backend::signature::{INTEGERS, VECTORS};
use crate::cranelift_backend::{Status, Unsupported};
use crate::plan::abi::Location;
use crate::plan::frame::{CallRecord, FrameHead, FrameLayout};
use crate::plan::interpret::assist::calls_by_stub;
use crate::plan::op::{At, Datum, Returns, Stub};
use crate::plan::{Binding, Kind};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, Endianness, InstBuilder, MemFlagsData, Value, types};
use std::mem::offset_of;

const RECORD: usize = offset_of!(FrameHead, record);
/// What is done where the work after the call is the interpreter's.
const RESUME: &str = "resume: the interpreter does the work after the call";
const ERRNO: usize = RECORD + offset_of!(CallRecord, errno);

impl Lower<'_> {
    pub(super) fn call(&mut self, stub: Stub, returns: Returns) -> Result<(), Unsupported> {
        if let Stub::Data(datum) = stub {
            self.read_data(datum)?;
            return self.give(returns);
        }
        let errno = self.plan.facts.errno.then(|| self.ask(Helper::ErrnoLocation, &[]));
        let by_stub = calls_by_stub(self.plan);
        let arguments = if by_stub { Vec::new() } else { self.arguments()? };
        (self.signature.integer_results, self.signature.vector_results) =
            self.after.results(self.plan, returns);
        let signature = self.signature.clif()?;
        if errno.is_none() && self.can_jump(returns) {
            return self.jump_to_native(signature, &arguments);
        }
        let target = if by_stub {
            None
        } else {
            let signature = self.b.import_signature(signature);
            Some((signature, self.binding(types::I64, offset_of!(Binding, target))))
        };
        self.begin_call();
        if let Some(errno) = errno {
            let zero = self.b.ins().iconst(types::I32, 0);
            self.store(zero, errno, 0);
        }
        let results = match target {
            Some((signature, target)) => {
                let call = self.b.ins().call_indirect(signature, target, &arguments);
                self.b.inst_results(call).to_vec()
            }
            None => {
                let frame = self.frame;
                self.help(Helper::EnterNative, &[frame]);
                Vec::new()
            }
        };
        let errno = errno.map(|errno| self.load(types::I32, errno, 0));
        self.places.forget_lent();
        self.take_results(results, by_stub);
        if let Some(errno) = errno {
            match self.after {
                // The interpreter tells the binding when the call is over.
                After::Interpreted => self.store(errno, self.frame, ERRNO),
                After::None | After::Compiled => {
                    self.keep_errno(errno);
                    self.store(errno, self.frame, ERRNO);
                }
            }
        }
        if let Some(fine) = self.end_call()
            && self.after != After::Interpreted
        {
            self.check_after(super::values::Known::If(fine));
            // Guest code may have run.
            self.load_memory();
        }
        self.give(returns)
    }

    /// Puts what native code has returned into its places; a stub has put it into the frame's memory.
    fn take_results(&mut self, results: Vec<Value>, by_stub: bool) {
        if by_stub && self.after == After::Interpreted {
            return;
        }
        let places: Vec<Location> = self.signature.result_places().collect();
        let vectors = self.signature.vector_results.clone();
        let integers = usize::from(self.signature.integer_results);
        for (number, place) in places.into_iter().enumerate() {
            let Some(at) = FrameLayout::result_register(place) else { continue };
            let result = if by_stub {
                let ty = number.checked_sub(integers).and_then(|vector| vectors.get(vector));
                self.load(ty.copied().unwrap_or(types::I64), self.frame, at.offset())
            } else {
                results[number]
            };
            let word = match self.b.func.dfg.value_type(result) {
                types::I64 => Word::integer(result),
                types::F32 => Word::Float32(result),
                types::F64 => Word::Float64(result),
                _ => Word::Vector(result),
            };
            self.place(at, word);
        }
    }

    /// What is read instead of a call.
    fn read_data(&mut self, datum: Datum) -> Result<(), Unsupported> {
        let target = self.binding(types::I64, offset_of!(Binding, target));
        let (at, bytes) = match datum {
            Datum::Address => {
                self.place(FrameLayout::result_integer(), Word::integer(target));
                return Ok(());
            }
            Datum::Integer(bytes) => (FrameLayout::result_integer(), bytes),
            Datum::Vector(bytes) => (FrameLayout::result_vector(), bytes),
        };
        let Some(ty) = super::places::integer(bytes.into()) else {
            return Err(internal(&format!("data of {bytes} bytes")));
        };
        // One load of an aligned object, as an atomic one is on this processor.
        let low = self.load(ty, target, 0);
        let value = if ty == types::I64 { low } else { self.b.ins().uextend(types::I64, low) };
        self.place(at, Word::Integer { value, bits: 8 * bytes });
        Ok(())
    }

    /// What is passed, in the order of the signature.
    fn arguments(&mut self) -> Result<Vec<Value>, Unsupported> {
        let image = |number, of: fn(u8) -> Option<At>| of(number).map_or(0, At::offset);
        let integers = |number| image(number, FrameLayout::integer);
        let vectors = |number| image(number, FrameLayout::vector);
        let places = &self.places;
        let used = |count: u8, of: &dyn Fn(u8) -> usize| {
            let last = (0..count).rev().find(|number| places.word(of(*number)).is_some());
            last.map_or(0, |last| last + 1)
        };
        let (integer_count, vector_count) = (used(INTEGERS, &integers), used(VECTORS, &vectors));
        self.signature.integers = integer_count;
        self.signature.stack = self.plan.frame.stack / 8;
        let mut arguments = Vec::new();
        for number in 0..self.signature.passed_integers() {
            arguments.push(self.argument_word(integers(number))?);
        }
        for number in 0..vector_count {
            let value = self.argument_vector(vectors(number))?;
            self.signature.vectors.push(self.b.func.dfg.value_type(value));
            arguments.push(value);
        }
        for slot in 0..usize::from(self.signature.stack) {
            arguments.push(self.argument_word(FrameLayout::STACK + 8 * slot)?);
        }
        Ok(arguments)
    }

    /// A word, or zero where the function reads nothing.
    fn argument_word(&mut self, offset: usize) -> Result<Value, Unsupported> {
        match self.places.word(offset) {
            Some(_) => Ok(self.word_bits(offset)?.0),
            None => Ok(self.constant(0)),
        }
    }

    fn argument_vector(&mut self, offset: usize) -> Result<Value, Unsupported> {
        debug_assert!(is_vector_image(offset));
        let little = MemFlagsData::new().with_endianness(Endianness::Little);
        if let Some(Word::Integer { .. } | Word::Float32(_) | Word::Float64(_)) =
            self.places.word(offset + 8)
        {
            // Both halves, each from elsewhere.
            let (low, high) = (self.word_bits(offset)?.0, self.word_bits(offset + 8)?.0);
            let low = self.b.ins().scalar_to_vector(types::I64X2, low);
            let both = self.b.ins().insertlane(low, high, 1);
            return Ok(self.b.ins().bitcast(types::I8X16, little, both));
        }
        Ok(match self.places.word(offset) {
            Some(Word::Float32(value) | Word::Float64(value) | Word::Vector(value)) => value,
            Some(Word::Integer { value, .. }) => {
                self.b.ins().bitcast(types::F64, MemFlagsData::new(), value)
            }
            Some(Word::Half) | None => self.b.ins().f64const(0.0),
        })
    }

    /// The result of a call without work after it.
    fn give(&mut self, returns: Returns) -> Result<(), Unsupported> {
        if self.after != After::None {
            return Ok(());
        }
        let at = match returns {
            Returns::Void | Returns::Record => return Ok(()),
            Returns::Float32 | Returns::Float64 | Returns::Vector => FrameLayout::result_vector(),
            Returns::Int8
            | Returns::UInt8
            | Returns::Int16
            | Returns::UInt16
            | Returns::Bool
            | Returns::Int32
            | Returns::Int64
            | Returns::Long32
            | Returns::ULong32 => FrameLayout::result_integer(),
        };
        if self.plan.kind == Kind::Call {
            self.deliver(at, returns)
        } else {
            self.return_from(at, returns)
        }
    }

    /// Puts a result into the first slot.
    pub(super) fn return_from(&mut self, from: At, returns: Returns) -> Result<(), Unsupported> {
        let offset = from.offset();
        let low = match returns {
            Returns::Void | Returns::Record => return Ok(()),
            Returns::Vector => {
                let value = match self.places.word(offset) {
                    Some(Word::Vector(value)) => value,
                    _ => return Err(Unsupported::Place { at: from }),
                };
                self.give_result(value);
                return Ok(());
            }
            Returns::Float32
                if self.is_direct()
                    && let Some(Word::Float32(value)) = self.places.word(offset) =>
            {
                value
            }
            Returns::Float64 if let Some(Word::Float64(value)) = self.places.word(offset) => value,
            Returns::Int8 => self.extended(offset, 1)?,
            Returns::Int16 => self.extended(offset, 2)?,
            Returns::UInt8 => self.bytes_at(offset, 1)?,
            Returns::UInt16 => self.bytes_at(offset, 2)?,
            Returns::Bool => {
                let byte = self.bytes_at(offset, 1)?;
                let one = self.constant(1);
                self.b.ins().band(byte, one)
            }
            Returns::Int32 | Returns::Float32 => self.bytes_at(offset, 4)?,
            Returns::Int64 | Returns::Float64 => self.bytes_at(offset, 8)?,
            Returns::Long32 | Returns::ULong32 => {
                let raw = self.bytes_at(offset, 8)?;
                let low = self.b.ins().ireduce(types::I32, raw);
                let back = if returns == Returns::Long32 {
                    self.b.ins().sextend(types::I64, low)
                } else {
                    self.b.ins().uextend(types::I64, low)
                };
                let same = self.compare(IntCC::Equal, raw, back);
                self.check_after(super::values::Known::If(same));
                self.b.ins().uextend(types::I64, low)
            }
        };
        self.give_result(low);
        Ok(())
    }

    /// So many bytes, sign-extended to 32 bits.
    fn extended(&mut self, offset: usize, bytes: usize) -> Result<Value, Unsupported> {
        let value = self.bytes_at(offset, bytes)?;
        let narrow = if bytes == 1 { types::I8 } else { types::I16 };
        let low = self.b.ins().ireduce(narrow, value);
        let extended = self.b.ins().sextend(types::I32, low);
        Ok(self.b.ins().uextend(types::I64, extended))
    }

    /// Where checks after the call go that fail. It is filled at the end.
    pub(super) fn resume_block(&mut self) -> Block {
        if let Some(block) = self.resume {
            return block;
        }
        let block = self.cold(RESUME);
        self.resume = Some(block);
        block
    }

    /// The end of the trampoline.
    pub(super) fn end(&mut self) -> Result<(), Unsupported> {
        self.note_rest(match self.after {
            After::None | After::Compiled => "done",
            After::Interpreted => RESUME,
        });
        match self.after {
            _ if self.jumped => {}
            After::None | After::Compiled => {
                self.leave_handles();
                self.leave(Status::Done);
            }
            After::Interpreted => {
                self.write_head();
                self.leave(Status::Resume);
            }
        }
        if let Some(block) = self.resume {
            self.b.switch_to_block(block);
            self.write_head();
            for at in (RECORD..RECORD + offset_of!(CallRecord, errno)).step_by(8) {
                if let Some(word) = self.places.word(at) {
                    self.keep(at, word);
                }
            }
            self.leave(Status::Resume);
        }
        self.fill_exits();
        Ok(())
    }
}
