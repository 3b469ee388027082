//! Trampolines that call out to the interpreter: the same call both ways leaves the same behind, whichever
//! way it ends, and native code is never called twice.
use super::*;
use crate::plan::interpret::Stop;
use crate::plan::interpret::assist::run_assisted;

/// A value that no guest's `long` holds, nor one of its pointers.
const BAD: u64 = 0x1234_5678_9abc;
/// Stand for the handles of a world's two objects.
const FIRST: u64 = 1 << 40;
const SECOND: u64 = 2 << 40;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static ANSWER: Cell<u64> = const { Cell::new(0) };
    static LEAVE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Writes what it was told to where its first argument points, and returns what it was told to.
unsafe extern "C" fn native(first: *mut u64) -> u64 {
    CALLS.set(CALLS.get() + 1);
    if let Some(value) = LEAVE.get() {
        // SAFETY: cases that say so pass 8 bytes of the call's own.
        unsafe { first.write_unaligned(value) };
    }
    ANSWER.get()
}

/// A call.
#[derive(Clone, Copy)]
struct Case {
    text: &'static str,
    leaf: bool,
    arguments: &'static [u64],
    /// Words of the guest's memory.
    memory: &'static [(usize, u64)],
    answer: u64,
    /// What native code leaves behind its first argument.
    leave: Option<u64>,
    /// How the trampoline ends, and whether the call does well.
    ends: (Status, bool),
}

const CASE: Case = Case {
    text: "",
    leaf: true,
    arguments: &[],
    memory: &[],
    answer: 3,
    leave: None,
    ends: (Status::Done, true),
};

/// Everything that a call leaves behind.
#[derive(Debug, PartialEq)]
struct Traces {
    outcome: Result<u64, Box<Stop>>,
    calls: u32,
    /// The bytes that are not zero, and where.
    memory: Vec<(usize, u8)>,
    /// Of both handles: uses, and whether it lives.
    handles: [(u32, bool); 2],
    live: u32,
    captured: (u32, u64),
    lent: u32,
}

fn plan_of(case: &Case) -> Plan {
    let scope = Scope::default();
    let prototype = parse_prototype(case.text, &scope);
    let prototype = prototype.unwrap_or_else(|error| panic!("{}: {error}", case.text));
    let target = Target {
        model: DataModel::Ilp32,
        abi: Abi::SysvX86_64,
        leaf: case.leaf,
        scope: &scope,
        import: None,
        handle_types: &OneType,
        grants: &|_| None,
    };
    let plan = compile(&Arc::new(prototype), &target);
    plan.unwrap_or_else(|error| panic!("{}: {error}", case.text))
}

/// Makes the call in a world of its own.
fn traces(
    case: &Case,
    plan: &Plan,
    call: impl FnOnce(&Binding, *mut GuestSlot) -> Result<(), Box<Stop>>,
) -> Traces {
    let mut world = World::new();
    let mut objects = [0_u64; 2];
    let handles = [0, 1].map(|index: usize| {
        let object = (&raw mut objects[index]).cast::<c_void>();
        let adopt = |table: &mut crate::plan::handles::HandleTable| {
            table.adopt(object, HandleType(1), false, None, std::ptr::null())
        };
        world.store.with_handles(adopt).expect("there is room")
    });
    let meant = |value: u64| match value {
        FIRST => handles[0].into(),
        SECOND => handles[1].into(),
        value => value,
    };
    for (at, value) in case.memory {
        world.memory[*at..*at + 8].copy_from_slice(&meant(*value).to_le_bytes());
    }
    let arguments: Vec<u64> = case.arguments.iter().map(|value| meant(*value)).collect();
    let mut slots = slots(&arguments);
    let binding = world.binding(native as *const c_void);
    CALLS.set(0);
    ANSWER.set(case.answer);
    LEAVE.set(case.leave);
    let done = call(&binding, slots.as_mut_ptr());
    let result = if plan.lowering.results.is_empty() { 0 } else { slots[0].low };
    let store = &world.store;
    store.look_at_handles(|table| Traces {
        outcome: done.map(|()| result),
        calls: CALLS.get(),
        memory: world.memory.iter().copied().enumerate().filter(|(_, byte)| *byte != 0).collect(),
        handles: handles.map(|handle| (table.busy(handle), table.is_live(handle))),
        live: table.live(),
        captured: (table.captures(), table.captured_bytes()),
        lent: table.lent(),
    })
}

fn check(case: &Case) {
    let plan = plan_of(case);
    let text = case.text;
    let trampoline = Trampoline::compile(&plan).unwrap_or_else(|why| panic!("{text}: {why}"));
    let interpreted = traces(case, &plan, |binding, slots| {
        // SAFETY: the plan was verified; the function does with its arguments what the case says.
        unsafe { run(&plan, binding, slots, &mut Nobody) }
    });
    let status = Cell::new(None);
    let compiled = traces(case, &plan, |binding, slots| {
        let mut guest = Nobody;
        // SAFETY: likewise; the trampoline was made of the plan.
        let ended = with_frame(&plan, |frame| unsafe {
            run_assisted(&plan, binding, slots, frame, &mut guest, None, || {
                let ended = trampoline.entry().enter(binding, slots, frame);
                status.set(Some((ended, CALLS.get())));
                ended
            })
        });
        match ended? {
            Status::Done | Status::Resume => Ok(()),
            // SAFETY: likewise.
            Status::Redo => unsafe { run(&plan, binding, slots, &mut Nobody) },
        }
    });
    let (how, well) = case.ends;
    let calls = u32::from(how != Status::Redo);
    assert_eq!(
        status.get(),
        Some((how, calls)),
        "{text} {:?}: {:?}",
        case.arguments,
        compiled.outcome
    );
    assert_eq!(compiled, interpreted, "{text}");
    assert_eq!(compiled.outcome.is_ok(), well, "{text}: {:?}", compiled.outcome);
    assert!(compiled.calls <= 1, "{text}: a door has called again");
    assert_eq!(compiled.handles.map(|(busy, _)| busy), [0; 2], "{text}: a handle stays in use");
}

const NODE: &str = "int f(struct { long n; int *_Nullable next; } *s)";
const AND_TEXT: &str = "int f(struct { long n; struct a *h; } *s, const char *text)";

#[test]
fn both_ways_leave_the_same_behind() {
    static VALUES: [u64; 2] = [BAD, BAD];
    let elsewhere = (&raw const VALUES).expose_provenance() as u64;
    let (resumed, failed) = ((Status::Resume, true), (Status::Resume, false));
    let refused = (Status::Redo, false);
    let cases = [
        // Data that is copied: what native code leaves there fits, or does not.
        Case {
            text: NODE,
            arguments: &[64],
            memory: &[(64, 5)],
            leave: Some(7),
            ends: resumed,
            ..CASE
        },
        Case { text: NODE, arguments: &[64], leave: Some(BAD), ends: failed, ..CASE },
        Case { text: NODE, arguments: &[4093], ends: refused, ..CASE },
        // A handle in a copy is marked, and a check behind it fails.
        Case {
            text: AND_TEXT,
            arguments: &[64, 0],
            memory: &[(64, SECOND << 32)],
            ends: refused,
            ..CASE
        },
        Case {
            text: "int f(struct { struct a *h; long n; } *s, const char *text)",
            arguments: &[64, 5000],
            memory: &[(64, FIRST)],
            ends: refused,
            ..CASE
        },
        // `const` data never goes back, and neither does what it leads to.
        Case {
            text: "int f(const struct { long n; const int *_Nullable next; } *s)",
            arguments: &[64],
            memory: &[(64, 5)],
            ..CASE
        },
        // A bound that is read from a copy.
        Case {
            text: "int f(const struct { long n; } *box, int *__counted_by(box->n) at)",
            arguments: &[64, 128],
            memory: &[(64, 4)],
            ends: (Status::Done, true),
            ..CASE
        },
        Case {
            text: "int f(const struct { long n; } *box, int *__counted_by(box->n) at)",
            arguments: &[64, 128],
            memory: &[(64, 4000)],
            ends: refused,
            ..CASE
        },
        // Strings, copied because native code may call back, and formats.
        Case {
            text: "int f(const char *text)",
            leaf: false,
            arguments: &[64],
            memory: &[(64, 0x41)],
            ..CASE
        },
        Case {
            text: "int f(const char *text)",
            leaf: false,
            arguments: &[4090],
            memory: &[(4088, u64::MAX)],
            ends: refused,
            ..CASE
        },
        Case {
            text: "long f(const char *text)",
            leaf: false,
            arguments: &[64],
            answer: BAD,
            ends: failed,
            ..CASE
        },
        Case {
            text: "int f(const char *format, ..., int) __format(printf, 1, 2)",
            arguments: &[64, 5],
            memory: &[(64, 0x6425)],
            ..CASE
        },
        Case {
            text: "int f(const char *format, ..., int) __format(printf, 1, 2)",
            arguments: &[64, 5],
            memory: &[(64, 0x7325)],
            ends: refused,
            ..CASE
        },
        // Handles that are marked.
        Case { text: "int f(struct a *x, long n)", leaf: false, arguments: &[FIRST, 5], ..CASE },
        Case {
            text: "long f(struct a *x)",
            leaf: false,
            arguments: &[FIRST],
            answer: BAD,
            ends: failed,
            ..CASE
        },
        Case {
            text: "int f(struct a *x, const char *text)",
            leaf: false,
            arguments: &[FIRST, 5000],
            ends: refused,
            ..CASE
        },
        Case {
            text: "int f(struct a *to, struct a *__consumes from)",
            arguments: &[FIRST, SECOND],
            ends: resumed,
            ..CASE
        },
        Case {
            text: "int f(struct a *to, struct a *__consumes from)",
            arguments: &[FIRST, 999],
            ends: refused,
            ..CASE
        },
        Case {
            text: "int f(struct a *to, struct a *__consumes from)",
            arguments: &[FIRST, FIRST],
            ends: refused,
            ..CASE
        },
        Case {
            text: "long f(struct a *to, struct a *__consumes from)",
            arguments: &[FIRST, SECOND],
            answer: BAD,
            ends: failed,
            ..CASE
        },
        // A handle that the call takes from behind a pointer.
        Case {
            text: "int f(struct a **__consumes p)",
            arguments: &[64],
            memory: &[(64, SECOND)],
            leave: Some(0),
            ends: resumed,
            ..CASE
        },
        Case {
            text: "int f(struct a **__consumes p)",
            arguments: &[64],
            memory: &[(64, SECOND)],
            leave: Some(BAD),
            ends: failed,
            ..CASE
        },
        Case {
            text: "int f(struct a **__consumes p, const char *text)",
            arguments: &[64, 5000],
            memory: &[(64, SECOND)],
            ends: refused,
            ..CASE
        },
        // What is kept.
        Case {
            text: "int f(struct a *by, const char *name __captured_by(by))",
            arguments: &[FIRST, 64],
            memory: &[(64, 0x41)],
            ends: resumed,
            ..CASE
        },
        Case {
            text: "long f(struct a *by, const char *name __captured_by(by))",
            arguments: &[FIRST, 64],
            answer: BAD,
            ends: failed,
            ..CASE
        },
        Case {
            text: "int f(struct a *by, struct a *x __captured_by(by), const char *text)",
            arguments: &[FIRST, SECOND, 64],
            ends: resumed,
            ..CASE
        },
        Case {
            text: "int f(struct a *by, struct a *x __captured_by(by), const char *text)",
            arguments: &[FIRST, SECOND, 5000],
            ends: refused,
            ..CASE
        },
        Case {
            text: "int f(struct a *by, struct a *x __captured_by(by))",
            arguments: &[FIRST, FIRST],
            ends: refused,
            ..CASE
        },
        // Cookies.
        Case {
            text: "void *__cookie f(void *__cookie user)",
            arguments: &[7],
            answer: 0,
            ends: resumed,
            ..CASE
        },
        Case {
            text: "void *__cookie f(void *__cookie user)",
            arguments: &[7],
            answer: BAD,
            ends: failed,
            ..CASE
        },
        // Handles that native code makes.
        Case {
            text: "int f(struct a *_Nullable *_Out_ out)",
            arguments: &[64],
            leave: Some(BAD),
            ends: resumed,
            ..CASE
        },
        Case {
            text: "long f(struct a *_Nullable *_Out_ out)",
            arguments: &[64],
            leave: Some(BAD),
            answer: BAD,
            ends: failed,
            ..CASE
        },
        // Data of native code: the guest has no allocator, and this does not fit anyway.
        Case {
            text: "struct { long v; } *__lifetimebound(static) f(void)",
            answer: elsewhere,
            ends: failed,
            ..CASE
        },
        // Functions: the guest has none.
        Case {
            text: "int f(int (*_Nullable g)(int), int n)",
            leaf: false,
            arguments: &[0, 4],
            ..CASE
        },
        Case {
            text: "int f(int (*g)(int), int n)",
            leaf: false,
            arguments: &[9, 4],
            ends: refused,
            ..CASE
        },
        Case {
            text: "long f(int (*_Nullable g)(int), int n)",
            leaf: false,
            arguments: &[0, 4],
            answer: BAD,
            ends: failed,
            ..CASE
        },
    ];
    cases.iter().for_each(check);
}

/// Shapes are no part of what code depends on, but functions in them are: the thread must know of the call.
#[test]
fn code_is_shared_by_plans_with_other_data_and_not_with_functions_in_it() {
    let plan = |text| plan_of(&Case { text, ..CASE });
    let one = plan("int f(const struct { long n; } *s)");
    let other = plan("int g(const struct { const char *name; } *s)");
    let function = plan("int h(const struct { int (*f)(int); } *s)");
    assert_eq!(one.ops, function.ops);
    assert!(same_code(&one, &other));
    assert!(!same_code(&one, &function));
}
