//! Handles of 64-bit guests in slots with something else above them: whichever way a call goes, no mark is left.
use super::*;
use crate::plan::interpret::Quick;
use crate::plan::interpret::assist::run_assisted;
use crate::plan::template::Template;
use crate::signature::parse_interface;

/// Above the 32 bits of a handle.
const ABOVE: u64 = 0xdead_beef_0000_0000;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn native(_: u64, _: u64) -> u64 {
    CALLS.set(CALLS.get() + 1);
    3
}

/// A way to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Interpreter,
    /// As far as there is a short way.
    Quick,
    Template,
    Trampoline,
}

/// How a call went: whether well, and how often native code ran. `None` if it cannot be made so.
fn call(way: Way, plan: &Plan, binding: &Binding, slots: *mut GuestSlot) -> Option<(bool, u32)> {
    CALLS.set(0);
    let mut guest = Nobody;
    let well = match way {
        // SAFETY: the plan was verified, and the function leaves its arguments alone.
        Way::Interpreter => unsafe { run(plan, binding, slots, &mut guest) }.is_ok(),
        Way::Quick => {
            let quick = Quick::of(plan)?;
            let done = match quick.is_held() {
                // SAFETY: likewise.
                true => unsafe { quick.run_held(plan, binding, slots, &mut guest) },
                // SAFETY: likewise.
                false => unsafe { quick.run(plan, binding, slots) },
            };
            done.is_ok()
        }
        // SAFETY: likewise.
        Way::Template => unsafe { Template::of(plan).ok()?.run(binding, slots) }.is_ok(),
        Way::Trampoline => {
            let made = Trampoline::compile(plan).expect("every plan has one");
            // SAFETY: likewise; it was made of the plan, whose frame this is.
            let ended = with_frame(plan, |frame| unsafe {
                let enter = || made.entry().enter(binding, slots, frame);
                match made.entry().is_assisted() {
                    true => run_assisted(plan, binding, slots, frame, &mut guest, None, enter),
                    false => Ok(enter()),
                }
            });
            ended == Ok(Status::Done)
        }
    };
    Some((well, CALLS.get()))
}

#[test]
fn no_mark_of_wide_guests_is_left_behind() {
    const INTERFACE: &str = "#pragma portcullis library \"libx.so\" module \"x\"\n\
        typedef int fd_t __handle;\nstruct thing;\n";
    // Of a descriptor the guest stores four bytes, whatever else is in its slot; of a pointer eight.
    let cases = [
        ("int use(fd_t fd);", false, true),
        ("int use(fd_t fd, int n __range(0, 5));", false, true),
        ("int use(fd_t fd, fd_t other);", false, true),
        ("int use(struct thing *it);", false, false),
        ("int use(struct thing *it, long n __range(0, 5));", false, false),
        ("int use(struct thing *it __exclusive);", false, false),
        ("int use(struct thing *it);", true, false),
        ("int use(struct thing *it __exclusive);", true, false),
        ("int use(fd_t fd);", true, true),
    ];
    let mut made = Vec::new();
    for (text, leaf, is_descriptor) in cases {
        let interface = format!("{INTERFACE}{text}");
        let interface =
            parse_interface("x.h", &interface).unwrap_or_else(|error| panic!("{error}"));
        let target = Target {
            model: DataModel::Lp64,
            abi: Abi::SysvX86_64,
            leaf,
            scope: &interface.scope,
            import: None,
            handle_types: &OneType,
            grants: &|_| None,
        };
        let plan = compile(&interface.grants[0].prototype, &target);
        let plan = plan.unwrap_or_else(|error| panic!("{text}: {error}"));
        let kind = plan.handle_kinds[0].id;
        for way in [Way::Interpreter, Way::Quick, Way::Template, Way::Trampoline] {
            // The second argument fits, or is refused when the handle is marked already.
            for (above, second) in [(0, 0), (ABOVE, 0), (0, 1 << 20), (ABOVE, 1 << 20)] {
                let mut world = World::new();
                let mut object = 0_u64;
                let handle = world.store.with_handles(|table| match is_descriptor {
                    true => table.adopt_descriptor(5, kind, false, None, std::ptr::null()),
                    false => {
                        let object = (&raw mut object).cast();
                        table.adopt(object, kind, false, None, std::ptr::null())
                    }
                });
                let handle = handle.expect("there is room");
                let has_two = text.contains("other");
                let other = if has_two && second == 0 { ABOVE | u64::from(handle) } else { second };
                let mut slots = slots(&[above | u64::from(handle), other]);
                let binding = world.binding(native as *const c_void);
                let went = call(way, &plan, &binding, slots.as_mut_ptr());
                let what = format!("{way:?}, leaf {leaf}, {above:#x}, {second}: {text}");
                let Some((well, calls)) = went else { continue };
                made.push(way);
                let right_handle = is_descriptor || above == 0;
                let right_second = second == 0 || !text.contains(',');
                assert_eq!(
                    (well, calls),
                    match right_handle && right_second {
                        true => (true, 1),
                        false => (false, 0),
                    },
                    "{what}"
                );
                world.store.look_at_handles(|table| {
                    assert_eq!((table.busy(handle), table.is_live(handle)), (0, true), "{what}");
                });
                // Whoever wants it alone gets it now.
                let mut again = self::slots(&[u64::from(handle), 0]);
                if has_two {
                    again[1].low = handle.into();
                }
                let went = call(Way::Interpreter, &plan, &binding, again.as_mut_ptr());
                assert_eq!(went, Some((true, 1)), "again: {what}");
            }
        }
    }
    let count = |way| made.iter().filter(|one| **one == way).count();
    assert!(count(Way::Interpreter) >= 30 && count(Way::Trampoline) >= 30);
    assert!(count(Way::Quick) >= 4, "{} by the short way", count(Way::Quick));
}
