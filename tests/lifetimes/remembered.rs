//! Integers that handles remember.
use crate::world::{World, journal};
use portcullis::plan::Problem;

#[test]
fn bounds_follow_the_handle() {
    let mut world = World::new();
    let g = world.call("grid_new", &[4, 3]);
    assert_eq!(world.call("grid_row", &[g, 65532]), 4);
    assert!(matches!(
        world.refused("grid_row", &[g, 65533]),
        Problem::OutOfBounds { bytes: 4, address: 65533, .. }
    ));
    assert_eq!(world.call("grid_cell", &[g, 11]), 11);
    let text = world.told("grid_cell", &[g, 12]);
    assert!(
        text.ends_with("the value 12 is not allowed, only 0 to g.cells - 1, where g.cells = 12"),
        "{text}"
    );
    world.call("grid_resize", &[g, 8]);
    assert!(matches!(
        world.refused("grid_row", &[g, 65532]),
        Problem::OutOfBounds { bytes: 8, .. }
    ));
    assert_eq!(world.call("grid_row", &[g, 65528]), 8);
    assert_eq!(world.call("grid_cell", &[g, 11]), 11, "each name for itself");
    assert_eq!(world.call("grid_open", &[5, 64]), 5);
    let other = world.read(64);
    assert_eq!(world.call("grid_row", &[other, 128]), 5);
    assert_eq!(world.call("grid_row", &[g, 128]), 8);
    assert_eq!(world.call("grid_open", &[-5, 64]), -5);
    assert_eq!(world.read(64), 0, "there is no handle to remember anything");
}

#[test]
fn what_was_never_set_is_told() {
    let mut world = World::new();
    let g = world.call("grid_blank", &[]);
    let unset =
        |handle: i64, name: &str| Problem::Unset { handle: handle as u64, name: name.into() };
    assert_eq!(world.refused("grid_row", &[g, 64]), unset(g, "width"));
    assert_eq!(world.refused("grid_row", &[0, 64]), unset(0, "width"));
    world.call("grid_resize", &[g, 1]);
    assert_eq!(world.call("grid_row", &[g, 64]), 1);
    assert_eq!(world.refused("grid_cell", &[g, 0]), unset(g, "cells"));
    let text = world.told("grid_cell", &[g, 0]);
    assert!(text.contains(&format!("the handle {g:#x} remembers no `cells`")), "{text}");
}

#[test]
fn a_slots_next_handle_remembers_nothing() {
    let mut world = World::new();
    let g = world.call("grid_new", &[100, 100]);
    world.call("grid_free", &[g]);
    let next = world.call("grid_blank", &[]);
    assert_eq!(next & 0xfffff, g & 0xfffff, "the slot is used again");
    assert!(matches!(world.refused("grid_row", &[next, 64]), Problem::Unset { .. }));
    assert!(matches!(world.refused("grid_row", &[g, 64]), Problem::Handle { .. }));
    assert_eq!(journal(), "grid");
}

#[test]
fn negative_bounds_are_refused() {
    let mut world = World::new();
    let g = world.call("grid_new", &[-4, 3]);
    assert_eq!(world.refused("grid_row", &[g, 64]), Problem::NegativeCount { count: -4 });
}

/// Each takes room in the frame, which is bounded.
#[test]
fn thousands_of_names_are_refused() {
    use portcullis::plan::HandleTypes;
    use portcullis::plan::abi::Abi;
    use portcullis::plan::compile::{CompileError, Target, compile};
    use portcullis::plan::handles::HandleType;
    use portcullis::plan::layout::DataModel;
    use portcullis::signature::{Record, Scope, parse_prototype};
    struct One;
    impl HandleTypes for One {
        fn number(&self, _: &Record) -> HandleType {
            HandleType(7)
        }
    }
    let sets = "__remember(n=1)".repeat(4000);
    let reads: String = (0..80).map(|n| format!("+h.n{n}")).collect();
    for text in [
        format!("struct grid *{sets} f(void)"),
        format!("int f(struct grid *h, const char *__counted_by(0{reads}) p)"),
    ] {
        let scope = Scope::default();
        let prototype = parse_prototype(&text, &scope).unwrap_or_else(|e| panic!("{e}"));
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf: true,
            scope: &scope,
            import: None,
            handle_types: &One,
            grants: &|_| None,
        };
        let error = compile(&std::sync::Arc::new(prototype), &target).expect_err("too many");
        assert!(matches!(error, CompileError::Prototype(_)), "{error}");
        assert!(error.to_string().contains("more than 64 integers are remembered here"), "{error}");
    }
}
