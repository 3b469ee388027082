//! When a struct is passed in place: said a third time, as a table, beside the compiler and the verifier.
use super::corpus::For;
use super::*;
use crate::plan::op::{DeepOp, Op};
use crate::plan::shape::Target;

/// Structs, and the data models under which they are the same plain bytes on both sides.
const STRUCTS: &[(&str, bool, bool)] = &[
    ("struct f { int a; int b; } *s", true, true),
    ("const struct f { int a; double b; } *s", true, true),
    ("struct f { int a; short b[3]; } *_Out_ s", true, true),
    ("const struct f { int a; int b; } *__counted_by(2) s", true, true),
    ("const struct l { long a; size_t b; } *s", false, true),
    ("struct l { long a; int b; } *_Out_ __counted_by(3) s", false, true),
    ("const struct p { const char *_Nullable a; long b; } *s", false, false),
    ("const struct v { void (*a)(int); long b; } *s", false, false),
    ("struct v { int (*_Nullable a[2])(int); } *_Inout_ s", false, false),
    ("const struct c { void *__cookie a; long b; } *s", false, false),
    ("const struct h { struct db *a; } *s", false, false),
    ("const struct e { struct { void *__cookie a; } b[2]; } *__counted_by(1) s", false, false),
    ("const struct b { bool a; int b; } *s", false, false),
    ("struct b { bool a; int b; } *_Out_ s", true, true),
    ("struct n { int a; int b __host_only; } *s", false, false),
    ("const struct r { int a __range(0, 9); int b; } *s", false, false),
    ("const struct t { int a; int b; } *__terminated_by(.b) s", false, false),
];

/// What stands beside them: whether native code cannot write to the guest's memory through it.
const BESIDE: &[(&str, bool)] = &[
    ("int o", true),
    ("double o", true),
    ("const int *o", true),
    ("const char *o", true),
    ("const void *__sized_by(4) o", true),
    ("const struct q { int x; } *o", true),
    ("struct db *o", true),
    ("struct db **_Out_ o", true),
    ("struct db **o", true),
    ("const char *__lifetimebound(static) *_Out_ o", true),
    ("void (*o)(int)", true),
    ("int *o", false),
    ("int *_Out_ o", false),
    ("long *_Inout_ o", false),
    ("char *_Out_ __counted_by(4) o", false),
    ("char *__null_terminated _Inout_ o", false),
    ("void *__sized_by(4) o", false),
    ("struct q { int x; } *o", false),
    ("struct q { int x; } *_Out_ o", false),
    ("const struct q { int *__counted_by(2) x; } *o", false),
    ("const struct q { void (*x)(int); } *o", false),
    ("struct db **_Inout_ o", false),
    ("struct db **_In_ __counted_by(2) o", false),
    ("const char **_Inout_ o", false),
    ("const char *const *__counted_by(2) o", false),
];

/// The op that makes the struct, and where it is.
fn maker(plan: &Plan) -> (usize, Op) {
    let makes = |op: &Op| match op {
        Op::Buffer { slot, .. } | Op::Deep(DeepOp::Copy { slot, .. }) => *slot == 0,
        _ => false,
    };
    let at = plan.ops.iter().position(makes).expect("the struct is passed");
    (at, plan.ops[at])
}

#[test]
fn structs_are_in_place_when_nothing_can_change_them() {
    let (mut in_place, mut copied) = (0, 0);
    for one in For::all() {
        let wide = one.model == DataModel::Lp64;
        let (_, Op::Buffer { slot, to, count, null, param, .. }) =
            maker(&For { leaf: true, ..one }.plan("int f(const struct f { int a; } *s)"))
        else {
            panic!("this one is in place");
        };
        for (data, narrow_plain, wide_plain) in STRUCTS {
            let plain = if wide { *wide_plain } else { *narrow_plain };
            for (beside, quiet) in BESIDE {
                let text = format!("int f({data}, {beside})");
                let plan = one.plan(&text);
                let (at, op) = maker(&plan);
                let expected = one.leaf && plain && *quiet;
                let found = matches!(op, Op::Buffer { .. });
                assert_eq!(found, expected, "{text}, {:?}, leaf: {}", one.model, one.leaf);
                if found {
                    in_place += 1;
                    continue;
                }
                copied += 1;
                // Whatever a plan says: what must be copied is not accepted in place.
                let Op::Deep(DeepOp::Copy { root, .. }) = op else { panic!("{text}") };
                let Target::Data(shape) = plan.roots[usize::from(root)].target else {
                    panic!("{text}")
                };
                let shape = &plan.shapes[usize::from(shape)];
                for size in [shape.host_size, shape.guest_size] {
                    let align = u8::try_from(shape.host_align).expect("small");
                    let buffer =
                        Op::Buffer { slot, to, count, size, align, null, param, extent: None };
                    let mut other = plan.clone();
                    other.ops[at] = buffer;
                    assert!(verify(&other, one.abi).is_err(), "{text}");
                    if let [single] = &*plan.roots {
                        assert_eq!(single.target, plan.roots[usize::from(root)].target);
                        (other.roots, other.shapes) = ([].into(), [].into());
                        assert!(verify(&other, one.abi).is_err(), "{text}");
                    }
                }
            }
        }
        // What a bound is read from is not in place either.
        let read =
            one.plan("int f(const struct f { int a; } *s, char *_Out_ __counted_by(s->a) o)");
        assert!(matches!(maker(&read).1, Op::Deep(DeepOp::Copy { .. })));
        let read = one.plan("int f(const struct f { int a; } *s, int o __range(0, s->a))");
        assert!(matches!(maker(&read).1, Op::Deep(DeepOp::Copy { .. })));
    }
    assert!(in_place > 250 && copied > 2_000, "{in_place} in place, {copied} copied");
}
