//! Shapes and roots with another value in one of their fields.
use super::Mutant;
use crate::plan::Plan;
use crate::plan::moves::MoveKind;
use crate::plan::op::{Direction, Null, Width};
use crate::plan::shape::{Carry, Keep, Link, Reach, Target, Test};

/// What pointers lead to.
pub(super) fn shapes(plan: &Plan, all: &mut Vec<Mutant>) {
    let mut with = |class, f: &dyn Fn(&mut Plan)| {
        let mut mutant = plan.clone();
        f(&mut mutant);
        all.push((class, mutant));
    };
    for root in 0..plan.roots.len() {
        for link in links(&plan.roots[root]) {
            with("root", &|m| m.roots[root] = link.clone());
        }
    }
    with("root", &|m| m.roots = [&m.roots[..], &m.roots[..m.roots.len().min(1)]].concat().into());
    with("root", &|m| m.roots = m.roots.iter().skip(1).cloned().collect());
    with("root", &|m| m.roots.reverse());
    with("shape", &|m| m.shapes = m.shapes.iter().skip(1).cloned().collect());
    with("shape", &|m| m.shapes.reverse());
    with("shape", &|m| {
        m.shapes = [&m.shapes[..], &m.shapes[..m.shapes.len().min(1)]].concat().into();
    });
    for number in 0..plan.shapes.len() {
        let shape = &plan.shapes[number];
        for change in [1, 8, 0_u32.wrapping_sub(1)] {
            with("size", &|m| {
                let shape = &mut m.shapes[number];
                shape.guest_size = shape.guest_size.wrapping_add(change);
            });
            with("size", &|m| {
                let shape = &mut m.shapes[number];
                shape.host_size = shape.host_size.wrapping_add(change);
            });
        }
        with("align", &|m| {
            m.shapes[number].host_align = m.shapes[number].host_align.wrapping_mul(2)
        });
        with("align", &|m| m.shapes[number].host_align = 0);
        with("align", &|m| {
            m.shapes[number].guest_align = m.shapes[number].guest_align.wrapping_mul(2)
        });
        for one in 0..shape.moves.len() {
            let edit = |m: &mut Plan, f: &dyn Fn(&mut Carry)| f(&mut m.shapes[number].moves[one]);
            with("carry", &|m| edit(m, &|one| one.guest = one.guest.wrapping_add(1)));
            with("carry", &|m| edit(m, &|one| one.guest = u32::MAX));
            with("carry", &|m| edit(m, &|one| one.host = one.host.wrapping_add(1)));
            with("carry", &|m| edit(m, &|one| one.host = 1 << 20));
            for direction in [Direction::In, Direction::Out, Direction::InOut] {
                with("carry", &|m| edit(m, &|one| one.direction = direction));
            }
            for kind in [
                MoveKind::Clear(8),
                MoveKind::Bytes(1),
                MoveKind::Bytes(8),
                MoveKind::Bytes(9000),
                MoveKind::Bits(1),
                MoveKind::Bool,
                MoveKind::Signed32,
                MoveKind::Unsigned32,
                MoveKind::Extended,
            ] {
                with("carry", &|m| edit(m, &|one| one.kind = kind));
            }
            with("carry", &|m| {
                let mut moves = m.shapes[number].moves.to_vec();
                moves.remove(one);
                m.shapes[number].moves = moves.into();
            });
            with("carry", &|m| {
                let mut moves = m.shapes[number].moves.to_vec();
                moves.push(moves[one]);
                m.shapes[number].moves = moves.into();
            });
        }
        for test in 0..shape.tests.len() {
            let edit = |m: &mut Plan, f: &dyn Fn(&mut Test)| f(&mut m.shapes[number].tests[test]);
            with("test", &|m| edit(m, &|test| test.host = test.host.wrapping_add(4)));
            with("test", &|m| edit(m, &|test| test.width = Width::U8));
            with("test", &|m| edit(m, &|test| test.intervals = [].into()));
            // Another change may have taken them all.
            if !shape.tests[test].intervals.is_empty() {
                with("test", &|m| edit(m, &|test| test.intervals[0].0 = test.intervals[0].1));
                with("test", &|m| edit(m, &|test| test.intervals[0].1 = 999));
            }
            with("test", &|m| m.shapes[number].tests = [].into());
        }
        for index in 0..shape.links.len() {
            for link in links(&shape.links[index]) {
                with("link", &|m| m.shapes[number].links[index] = link.clone());
            }
            with("link", &|m| {
                let mut links = m.shapes[number].links.to_vec();
                links.remove(index);
                m.shapes[number].links = links.into();
            });
            with("link", &|m| {
                let mut links = m.shapes[number].links.to_vec();
                links.push(links[index].clone());
                m.shapes[number].links = links.into();
            });
        }
    }
}

/// A link with another value in one of its fields.
fn links(link: &Link) -> Vec<Link> {
    let mut all = Vec::new();
    let mut with = |f: &dyn Fn(&mut Link)| {
        let mut other = link.clone();
        f(&mut other);
        all.push(other);
    };
    with(&|link| link.guest = link.guest.wrapping_add(4));
    with(&|link| link.guest = u32::MAX);
    with(&|link| link.host = link.host.wrapping_add(8));
    with(&|link| link.host = 1 << 20);
    for null in [Null::IfEmpty, Null::Allowed, Null::Refused] {
        with(&|link| link.null = null);
    }
    for direction in [Direction::In, Direction::Out, Direction::InOut] {
        with(&|link| link.direction = direction);
    }
    let mut targets = vec![
        Target::Native,
        Target::Data(0),
        Target::Data(1),
        Target::Data(999),
        Target::Bytes { size: 1, align: 1 },
        Target::Bytes { size: 8, align: 8 },
        Target::Handle { kind: 0, borrowed: false },
        Target::Handle { kind: 0, borrowed: true },
        Target::Handle { kind: 999, borrowed: false },
    ];
    let keeps =
        [Keep::Call, Keep::Library, Keep::Result, Keep::Slot(0), Keep::Slot(1), Keep::Slot(999)];
    for keep in keeps {
        let callbacks = match link.target {
            Target::Function { callback: Some(callback), .. } => {
                [Some(callback), Some(callback ^ 1), Some(999), None]
            }
            _ => [Some(0), Some(1), Some(999), None],
        };
        for callback in callbacks {
            targets.push(Target::Function { callback, keep });
        }
    }
    for with in [None, Some(0), Some(4), Some(8), Some(12), Some(16), Some(u32::MAX)] {
        targets.push(Target::Cookie { with });
    }
    if let Target::Bytes { size, align } = link.target {
        targets.push(Target::Bytes { size: size.wrapping_mul(2), align });
        targets.push(Target::Bytes { size: 0, align });
        targets.push(Target::Bytes { size, align: align.wrapping_mul(2) });
        targets.push(Target::Bytes { size, align: 0 });
    }
    for target in targets {
        with(&|link| link.target = target);
    }
    let mut reaches = vec![
        Reach::One,
        Reach::Counted { expr: 0, bytes: false },
        Reach::Counted { expr: 1, bytes: true },
        Reach::Counted { expr: 999, bytes: false },
        Reach::Ends { guest: 0, host: 0, guest_bytes: 1, host_bytes: 1 },
    ];
    match link.reach {
        Reach::One => {}
        Reach::Counted { expr, bytes } => {
            reaches.push(Reach::Counted { expr, bytes: !bytes });
            reaches.push(Reach::Counted { expr: expr ^ 1, bytes });
        }
        Reach::Ends { guest, host, guest_bytes, host_bytes } => {
            reaches.push(Reach::Ends {
                guest: guest.wrapping_add(4),
                host,
                guest_bytes,
                host_bytes,
            });
            reaches.push(Reach::Ends { guest: 1 << 20, host, guest_bytes, host_bytes });
            reaches.push(Reach::Ends {
                guest,
                host: host.wrapping_add(4),
                guest_bytes,
                host_bytes,
            });
            let (no_guest, no_host) = (0, 0);
            reaches.push(Reach::Ends { guest, host, guest_bytes: no_guest, host_bytes });
            reaches.push(Reach::Ends { guest, host, guest_bytes, host_bytes: no_host });
        }
    }
    for reach in reaches {
        with(&|link| link.reach = reach);
    }
    all
}
