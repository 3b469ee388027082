//! Trampolines against the interpreter: the same plans, the same arguments, nothing of wasmtime.
use super::*;
use crate::plan::abi::Abi;
use crate::plan::compile::{Target, compile};
use crate::plan::handles::{HandleType, Loan};
use crate::plan::interpret::{Guest, GuestStopped, resume, run, with_frame};
use crate::plan::layout::DataModel;
use crate::plan::{HandleTypes, Limits, Problem, StoreBlock};
use crate::signature::{Record, Scope, parse_prototype};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

mod assisted;
mod listings;
mod wide;

struct OneType;
impl HandleTypes for OneType {
    fn number(&self, _: &Record) -> HandleType {
        HandleType(1)
    }
}

/// A guest without an allocator.
struct Nobody;
impl Guest for Nobody {
    fn refresh(&mut self, _: &Binding) {}
    fn allocate(&mut self, _: u64, _: u32) -> Result<u64, GuestStopped> {
        Err(GuestStopped)
    }
    fn release(&mut self, _: Loan) -> Result<(), GuestStopped> {
        Ok(())
    }
    fn static_copy(&mut self, _: usize) -> Result<Option<(u64, u64)>, Problem> {
        Ok(None)
    }
    fn keep_static_copy(&mut self, _: usize, _: u64, _: u64) {}
}

fn plan(text: &str) -> Option<Plan> {
    let scope = Scope::default();
    let prototype = Arc::new(parse_prototype(text, &scope).ok()?);
    let target = Target {
        model: DataModel::Ilp32,
        abi: Abi::SysvX86_64,
        leaf: true,
        scope: &scope,
        import: None,
        handle_types: &OneType,
        grants: &|_| None,
    };
    compile(&prototype, &target).ok()
}

/// A store with one import and 4 KiB of memory.
struct World {
    memory: Vec<u8>,
    store: Box<StoreBlock>,
}

impl World {
    fn new() -> World {
        World { memory: vec![0; 4096], store: Box::new(StoreBlock::new(Limits::default())) }
    }

    fn binding(&mut self, target: *const c_void) -> Binding {
        Binding {
            target,
            store: &raw const *self.store,
            memory_base: Cell::new(self.memory.as_mut_ptr()),
            memory_len: Cell::new(4096),
            callees: [].as_ptr(),
            instance: 0,
            errno: Cell::new(0),
        }
    }
}

fn slots(arguments: &[u64]) -> Vec<GuestSlot> {
    let mut slots: Vec<_> = arguments.iter().map(|low| GuestSlot { low: *low, high: 0 }).collect();
    slots.resize(slots.len().max(1), GuestSlot::default());
    slots
}

extern "C" fn last_of_six(_: c_int, _: u32, _: i64, _: u64, _: i16, value: i64) -> i64 {
    value
}

/// Pseudo-random numbers, those at the edges more often.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20 ^ self.0 << 24
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 8) % end
    }

    fn edge(&mut self) -> u64 {
        const EDGES: [u64; 16] = [
            0,
            1,
            2,
            7,
            63,
            64,
            127,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            1 << 32,
            i64::MAX as u64,
            1 << 63,
            u64::MAX,
            u64::MAX - 1,
            0xffff_ffff_8000_0000,
        ];
        match self.below(4) {
            0 => self.next(),
            1 => self.below(100),
            _ => EDGES[usize::try_from(self.below(16)).expect("small")],
        }
    }

    fn expression(&mut self, depth: u32) -> String {
        if depth == 0 || self.below(6) == 0 {
            return match self.below(7) {
                0 => "a".to_owned(),
                1 => "b".to_owned(),
                2 => "c".to_owned(),
                3 => "d".to_owned(),
                4 => "e".to_owned(),
                _ => match self.below(4) {
                    0 => "18446744073709551615".to_owned(),
                    1 => "9223372036854775807".to_owned(),
                    _ => self.below(70).to_string(),
                },
            };
        }
        let left = self.expression(depth - 1);
        const BINARY: [&str; 18] = [
            "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "<", "<=", ">", ">=", "==", "!=",
            "&&", "||",
        ];
        match self.below(24) {
            0 => format!("-({left})"),
            1 => format!("~({left})"),
            2 => format!("!({left})"),
            3 => format!("abs({left})"),
            4 => format!("min({left}, {})", self.expression(depth - 1)),
            5 => format!("max({left}, {})", self.expression(depth - 1)),
            6 | 7 => {
                let (one, other) = (self.expression(depth - 1), self.expression(depth - 1));
                format!("(({left}) ? ({one}) : ({other}))")
            }
            _ => {
                let op = BINARY[usize::try_from(self.below(18)).expect("small")];
                format!("(({left}) {op} ({}))", self.expression(depth - 1))
            }
        }
    }
}

#[test]
fn expressions_have_the_interpreters_value_or_are_left_to_it() {
    let mut rng = Rng(0x5eed);
    let mut world = World::new();
    let (mut plans, mut done, mut refused, mut left) = (0, 0, 0, 0);
    while plans < 1500 {
        let depth = 1 + u32::try_from(rng.below(4)).expect("small");
        let expression = rng.expression(depth);
        let text = format!(
            "int64_t f(int a, unsigned b, int64_t c, uint64_t d, short e, int64_t v __value({expression}))"
        );
        // What has no value whatever is passed is refused.
        let Some(plan) = plan(&text) else { continue };
        let trampoline = Trampoline::compile(&plan).unwrap_or_else(|why| panic!("{text}: {why}"));
        plans += 1;
        let binding = world.binding(last_of_six as *const c_void);
        for _ in 0..20 {
            let arguments: Vec<u64> = (0..6).map(|_| rng.edge()).collect();
            let (mut one, mut other) = (slots(&arguments), slots(&arguments));
            // SAFETY: the plan was verified and the function is of its type.
            let interpreted = unsafe { run(&plan, &binding, one.as_mut_ptr(), &mut Nobody) };
            // SAFETY: likewise; the frame is the plan's.
            let status = with_frame(&plan, |frame| unsafe {
                trampoline.entry().enter(&binding, other.as_mut_ptr(), frame)
            });
            match (interpreted, status) {
                (Ok(()), Status::Done) => {
                    assert_eq!(one[0].low, other[0].low, "{text} {arguments:?}");
                    done += 1;
                }
                (Err(_), Status::Redo) => refused += 1,
                (Ok(()), Status::Redo) => left += 1,
                (interpreted, status) => {
                    panic!("{text} {arguments:?}: {interpreted:?}, {status:?}")
                }
            }
        }
    }
    println!("{done} done, {refused} refused, {left} left to the interpreter");
    // Most arguments are at the edge of what 64 bits hold.
    assert!(done > 5_000 && refused > 2_000 && left * 4 < done, "{done}, {refused}, {left}");
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

fn called() {
    CALLS.set(CALLS.get() + 1);
}

extern "C" fn long_of(value: i64) -> i64 {
    called();
    value
}

extern "C" fn out_long(value: i64, to: *mut i64) -> c_int {
    called();
    // SAFETY: a cell of the call.
    unsafe { to.write(value) };
    1
}

#[repr(C)]
struct One {
    value: i64,
}

extern "C" fn struct_of(value: i64) -> One {
    called();
    One { value }
}

#[repr(C)]
struct Three {
    values: [i64; 3],
}

extern "C" fn large_of(value: i64) -> Three {
    called();
    Three { values: [1, value, 3] }
}

extern "C" fn pointer_of(_: *const u8, _: u32, value: u64) -> u64 {
    called();
    value
}

/// A door after the call, of every kind of check: the function runs once, the interpreter says the
/// same with and without a trampoline, and the guest's memory is left alone.
#[test]
fn doors_behind_the_call_never_call_again() {
    const BAD: u64 = 0x1234_5678_9abc;
    let cases: [(&str, *const c_void, &[u64]); 6] = [
        ("long f(int64_t x)", long_of as *const c_void, &[BAD]),
        ("size_t f(int64_t x)", long_of as *const c_void, &[BAD]),
        ("int f(int64_t x, long *_Out_ to)", out_long as *const c_void, &[BAD, 64]),
        ("struct { long v; } f(int64_t x)", struct_of as *const c_void, &[BAD]),
        ("struct { long v[3]; } f(int64_t x)", large_of as *const c_void, &[64, BAD]),
        (
            "uint8_t *f(uint8_t *__counted_by(n) p, unsigned n, uint64_t x)",
            pointer_of as *const c_void,
            &[64, 8, BAD],
        ),
    ];
    for (text, target, arguments) in cases {
        let Some(plan) = plan(text) else { panic!("{text} has no plan") };
        let trampoline = Trampoline::compile(&plan).unwrap_or_else(|why| panic!("{text}: {why}"));
        let mut world = World::new();
        let binding = world.binding(target);
        CALLS.set(0);
        let mut one = slots(arguments);
        // SAFETY: the plan was verified and the function is of its type.
        let interpreted = unsafe { run(&plan, &binding, one.as_mut_ptr(), &mut Nobody) };
        assert_eq!(CALLS.get(), 1, "{text}");
        let mut other = slots(arguments);
        // SAFETY: likewise; the frame is the plan's, and the trampoline has filled it.
        let resumed = with_frame(&plan, |frame| unsafe {
            let status = trampoline.entry().enter(&binding, other.as_mut_ptr(), frame);
            assert_eq!((status, CALLS.get()), (Status::Resume, 2), "{text}");
            resume(&plan, frame, &mut Nobody)
        });
        assert_eq!(CALLS.get(), 2, "{text}: a door has called again");
        assert!(interpreted.is_err() && interpreted == resumed, "{text}: {resumed:?}");
        assert!(world.memory.iter().all(|byte| *byte == 0), "{text}");
    }
}

extern "C" fn count_frames() -> c_int {
    unsafe extern "C" {
        fn backtrace(buffer: *mut *mut c_void, size: c_int) -> c_int;
    }
    let mut frames = [std::ptr::null_mut(); 64];
    // SAFETY: there is room for so many.
    unsafe { backtrace(frames.as_mut_ptr(), 64) }
}

/// The unwinder walks through trampolines, to the end of the thread's stack.
#[test]
fn backtraces_go_through_trampolines() {
    let plan = plan("int f(void)").expect("it has a plan");
    let trampoline = Trampoline::compile(&plan).expect("it is compiled");
    let mut world = World::new();
    let binding = world.binding(count_frames as *const c_void);
    let around = count_frames();
    let mut slots = slots(&[]);
    // SAFETY: the plan was verified and the function is of its type.
    let status = with_frame(&plan, |frame| unsafe {
        trampoline.entry().enter(&binding, slots.as_mut_ptr(), frame)
    });
    assert_eq!(status, Status::Done);
    let through = slots[0].low;
    assert!(through > u64::try_from(around).expect("a count"), "{through} of {around} frames");
}

/// What compiled code must not have is not only looked for: it is refused.
#[test]
fn code_that_may_trap_is_refused() {
    use cranelift_codegen::ir::{AbiParam, Function, InstBuilder, Signature, types};
    use cranelift_codegen::isa::CallConv;
    use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
    let compiler = compile::compiler().expect("this machine has one");
    let mut function = Function::new();
    function.signature = Signature::new(CallConv::SystemV);
    function.signature.params.extend([AbiParam::new(types::I64); 2]);
    function.signature.returns.push(AbiParam::new(types::I64));
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    b.seal_block(block);
    let (left, right) = (b.block_params(block)[0], b.block_params(block)[1]);
    let quotient = b.ins().udiv(left, right);
    b.ins().return_(&[quotient]);
    b.finalize(compiler.isa.frontend_config());
    let refused = compiler.finish(function, &[]);
    assert!(matches!(refused, Err(Unsupported::Traps(1..))), "{refused:?}");
    // And what the verifier does not accept never gets that far.
    let mut broken = Function::new();
    broken.signature.returns.push(AbiParam::new(types::I64));
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut broken, &mut context);
    let block = b.create_block();
    b.switch_to_block(block);
    b.seal_block(block);
    b.ins().return_(&[]);
    b.finalize(compiler.isa.frontend_config());
    assert!(matches!(compiler.finish(broken, &[]), Err(Unsupported::Codegen(_))));
}
