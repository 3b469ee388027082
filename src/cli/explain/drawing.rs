//! Drawings of a call: which register or stack slot holds which byte of which argument, and a struct of the guest's
//! beside the host's.
use portcullis::bench::svg::{Svg, as_f64};
use portcullis::plan::Plan;
use portcullis::plan::abi::{Abi, Assignment, Location, Role};
use portcullis::plan::layout::{Place, Target, record_on, scalar_of};
use portcullis::plan::shape::{Shape, Target as Leads};
use portcullis::signature::{Function, Record, RecordKind, Scope, Type, TypeKind};
use std::sync::Arc;

/// A register, or eight bytes of the stack.
struct Slot {
    name: String,
    /// For each byte, the lowest first: whose it is (a number of a value), if it is anybody's.
    bytes: Vec<Option<usize>>,
    /// It holds an address of that value instead of the value.
    address: bool,
}

/// What a call fills, and what it leaves.
pub struct Drawing {
    slots: Vec<Slot>,
    results: Vec<Slot>,
    /// The names of values: the parameters, and the result.
    names: Vec<String>,
    /// The colours of the parameters.
    colors: Vec<usize>,
}

/// Letters that stand for values in text.
const LETTERS: &[u8] = b"abcdefghijklmnopqstuvwxyzABCDEFGHIJKLMNOPQSTUVWXYZ";
/// Colours that are told apart well, the first ones best.
pub const COLORS: [usize; 8] = [8, 5, 7, 6, 1, 3, 2, 4];

impl Drawing {
    /// Where everything of a call is.
    pub fn new(assignment: &Assignment, function: &Function, abi: Abi) -> Drawing {
        let named = |at: usize| {
            let name = function.params.get(at).and_then(|param| param.name.as_ref());
            name.map_or_else(|| format!("({})", at + 1), ToString::to_string)
        };
        let mut names: Vec<String> = (0..assignment.params.len()).map(named).collect();
        let result = names.len();
        names.push("result".to_owned());
        let mut filled: Vec<(Location, Slot)> = Vec::new();
        if let Some(location) = assignment.result.indirect {
            place(&mut filled, (location, 0, 8), result, true, (abi, Role::Parameter));
        }
        for (at, value) in assignment.params.iter().enumerate() {
            if let Some(location) = value.indirect {
                place(&mut filled, (location, 0, 8), at, true, (abi, Role::Parameter));
            }
            for piece in &value.pieces {
                let what = (piece.location, piece.offset, piece.size);
                place(&mut filled, what, at, false, (abi, Role::Parameter));
            }
        }
        filled.sort_by_key(|(location, _)| *location);
        let mut left: Vec<(Location, Slot)> = Vec::new();
        for piece in &assignment.result.pieces {
            let what = (piece.location, piece.offset, piece.size);
            place(&mut left, what, result, false, (abi, Role::Result));
        }
        let slots_of = |filled: Vec<(Location, Slot)>| -> Vec<Slot> {
            filled.into_iter().map(|(_, slot)| slot).collect()
        };
        let slots: Vec<Slot> = slots_of(filled);
        Drawing { colors: colors(&slots, result), slots, results: slots_of(left), names }
    }

    /// A letter a byte, a line a register; the lowest byte first.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (heading, slots) in [("before the call", &self.slots), ("after it", &self.results)] {
            if slots.is_empty() {
                continue;
            }
            text.push_str(&format!("{heading}\n"));
            for slot in slots {
                let letter = |byte: &Option<usize>| byte.map_or('.', |value| self.letter(value));
                let bytes: String = slot.bytes.iter().map(letter).collect();
                text.push_str(&format!("  {:<10}{bytes:<18}{}\n", slot.name, self.told(slot)));
            }
        }
        text
    }

    fn letter(&self, value: usize) -> char {
        if value + 1 == self.names.len() {
            return 'r';
        }
        char::from(LETTERS[value % LETTERS.len()])
    }

    /// Whose bytes these are, in words.
    fn told(&self, slot: &Slot) -> String {
        let mut said: Vec<String> = Vec::new();
        for value in slot.bytes.iter().flatten() {
            let name = match slot.address {
                true => format!("address of {}", self.names[*value]),
                false => self.names[*value].clone(),
            };
            if said.last() != Some(&name) {
                said.push(name);
            }
        }
        said.join(", ")
    }

    /// The same in colours.
    pub fn svg(&self) -> String {
        const STEP: f64 = 30.0;
        const CELL: f64 = 26.0;
        let lines = self.slots.len() + self.results.len();
        let mut svg = Svg::new(
            860.0,
            70.0 + STEP * as_f64(lines),
            "Registers and stack: which byte is whose",
        );
        let mut y = 24.0;
        for (heading, slots) in [("before the call", &self.slots), ("after it", &self.results)] {
            if slots.is_empty() {
                continue;
            }
            svg.words((10.0, y), "start", "soft", &format!("{heading} (lowest byte first)"));
            y += 8.0;
            for slot in slots {
                svg.words((100.0, y + 18.0), "end", "", &slot.name);
                for (at, byte) in slot.bytes.iter().enumerate() {
                    let (fill, told) = match byte {
                        Some(value) => (
                            self.fill(*value),
                            format!("{}, byte {at}: {}", slot.name, self.names[*value]),
                        ),
                        None => (
                            "fill:var(--line)".to_owned(),
                            format!("{}, byte {at}: nobody's", slot.name),
                        ),
                    };
                    svg.bar(110.0 + CELL * as_f64(at), y, (CELL, STEP - 6.0), &fill, &told);
                }
                let behind = 124.0 + CELL * as_f64(slot.bytes.len());
                svg.words((behind, y + 18.0), "start", "", &self.told(slot));
                y += STEP;
            }
            y += 26.0;
        }
        svg.finish()
    }

    fn fill(&self, value: usize) -> String {
        let color = self.colors.get(value).copied().unwrap_or(0);
        format!("fill:var(--c{color})")
    }
}

/// A colour a parameter: another one than those that are in the same line or the next one have, as long as there are any.
fn colors(slots: &[Slot], params: usize) -> Vec<usize> {
    let mut colors: Vec<Option<usize>> = vec![None; params];
    let mut next = 0;
    for at in 0..slots.len() {
        for value in slots[at].bytes.iter().flatten().copied().filter(|value| *value < params) {
            if colors[value].is_some() {
                continue;
            }
            let near = |slot: &&Slot| slot.bytes.contains(&Some(value));
            let lines = slots.iter().enumerate().filter(|(_, slot)| near(slot));
            let near: Vec<usize> = lines
                .flat_map(|(line, _)| line.saturating_sub(1)..(line + 2).min(slots.len()))
                .flat_map(|line| slots[line].bytes.iter().flatten())
                .filter_map(|value| colors.get(*value).copied().flatten())
                .collect();
            let turned = (0..COLORS.len()).map(|more| COLORS[(next + more) % COLORS.len()]);
            let free = turned.clone().find(|color| !near.contains(color));
            colors[value] = free.or(turned.clone().next());
            next += 1;
        }
    }
    colors.into_iter().map(|color| color.unwrap_or(COLORS[0])).collect()
}

/// Notes that so many bytes of a value, from its byte `offset` on, are there.
fn place(
    slots: &mut Vec<(Location, Slot)>,
    (location, _, size): (Location, u32, u32),
    value: usize,
    address: bool,
    (abi, role): (Abi, Role),
) {
    let mut left = size;
    let mut next = location;
    while left > 0 {
        // On the stack a line has eight bytes, whatever is in it.
        let (key, from, room) = match next {
            Location::Stack(at) => (Location::Stack(at / 8 * 8), at % 8, 8),
            Location::Integer(_) => (next, 0, 8),
            Location::Vector(_) | Location::X87(_) => (next, 0, 16),
        };
        let name = match (abi.register_name(key, role), key) {
            (Some(name), _) => name.to_owned(),
            (None, Location::Stack(at)) => format!("stack+{at}"),
            (None, _) => "?".to_owned(),
        };
        let here = left.min(room - from);
        let found = slots.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            slots.push((key, Slot { name, bytes: vec![None; room as usize], address }));
            slots.len() - 1
        });
        let bytes = &mut slots[found].1.bytes;
        bytes[from as usize..(from + here) as usize].fill(Some(value));
        left -= here;
        let Location::Stack(at) = next else { break };
        next = Location::Stack(at + here);
    }
}

/// A field, on both sides.
struct Member {
    name: String,
    guest: Place,
    host: Place,
    /// What becomes of it on its way.
    way: String,
}

/// A struct of the guest's beside the host's: each field, and what becomes of it on the way; `None` for what has no layout.
/// What becomes of pointers is the plan's to say.
pub fn beside(
    ty: &Type,
    scope: &Scope,
    plan: Option<&Plan>,
    sides: [Target; 2],
    names: [&str; 2],
) -> Option<String> {
    let TypeKind::Record(record) = &ty.kind else { return None };
    let sizes = sides
        .map(|side| record_on(record, ty.span, scope, side).ok().map(|(extent, _)| extent.size));
    let [Some(guest), Some(host)] = sizes else { return None };
    let mut members = Vec::new();
    collect(record, ty, scope, sides, [0, 0], &mut members)?;
    for shape in plan.iter().flat_map(|plan| &plan.shapes) {
        let size = (u64::from(shape.guest_size), u64::from(shape.host_size));
        if size == (guest, host) && ty.as_written().to_string().ends_with(&*shape.name) {
            led(shape, &mut members);
        }
    }
    let most = guest.max(host).max(1);
    if members.is_empty() || most > 4096 {
        return None;
    }
    const TOP: f64 = 50.0;
    const WIDE: f64 = 260.0;
    const RIGHT: f64 = 560.0;
    // Of long structs bytes are small.
    let scale = (1600.0 / bytes(most)).clamp(2.0, 14.0);
    let tag = record.tag.as_ref().map_or("struct".to_owned(), |tag| tag.name.to_string());
    let title = format!("{tag}: the guest's {guest} bytes beside the host's {host}");
    let mut svg = Svg::new(860.0, TOP + scale * bytes(most) + 20.0, &title);
    for ((x, size), name) in [(20.0, guest), (RIGHT, host)].into_iter().zip(names) {
        svg.words((x, 24.0), "start", "", &format!("{tag}, {name}: {size} bytes"));
        svg.bar(
            x,
            TOP,
            (WIDE, scale * bytes(size)),
            "fill:var(--faint)",
            &format!("{name}: padding"),
        );
    }
    for (at, member) in members.iter().enumerate() {
        let color = COLORS[at % COLORS.len()];
        let mut ends = [(0.0, 0.0); 2];
        for (side, (x, place)) in
            [(20.0, &member.guest), (RIGHT, &member.host)].into_iter().enumerate()
        {
            let (y, height) = (TOP + scale * bytes(place.offset), scale * bytes(place.size.max(1)));
            let bits = place
                .bits
                .map(|bits| format!(", bits {}..{}", bits.shift, bits.shift + bits.width));
            let told = format!("{} at {}{}", member.name, place.offset, bits.unwrap_or_default());
            svg.bar(x, y, (14.0, height), &format!("fill:var(--c{color})"), &told);
            if height >= 12.0 {
                let words = format!("+{} {}, {} B", place.offset, member.name, place.size);
                svg.words((x + 22.0, y + height.min(16.0) - 2.0), "start", "", &words);
            }
            ends[side] = (if side == 0 { x + WIDE } else { x }, y + height / 2.0);
        }
        svg.grid(ends[0], ends[1]);
        if scale >= 4.0 {
            let middle =
                (f64::midpoint(ends[0].0, ends[1].0), f64::midpoint(ends[0].1, ends[1].1) + 4.0);
            svg.words(middle, "middle", "soft", &member.way);
        }
    }
    Some(svg.finish())
}

fn collect(
    record: &Record,
    ty: &Type,
    scope: &Scope,
    sides: [Target; 2],
    base: [u64; 2],
    members: &mut Vec<Member>,
) -> Option<()> {
    let places = sides.map(|side| record_on(record, ty.span, scope, side).ok());
    let [Some((_, guest)), Some((_, host))] = places else { return None };
    let body = record.body.as_ref().or_else(|| {
        let tag = record.tag.as_ref()?;
        scope.records.get(&(record.kind, Arc::clone(&tag.name)))
    })?;
    for (field, (guest, host)) in body.fields.iter().zip(guest.iter().zip(&host)) {
        let moved = |place: &Place, base: u64| Place { offset: base + place.offset, ..*place };
        let (guest, host) = (moved(guest, base[0]), moved(host, base[1]));
        if let TypeKind::Record(inner @ Record { tag: None, kind: RecordKind::Struct, .. }) =
            &field.ty.kind
        {
            collect(inner, &field.ty, scope, sides, [guest.offset, host.offset], members)?;
            continue;
        }
        let name = field.name.as_ref().map_or("(unnamed)".to_owned(), ToString::to_string);
        members.push(Member { name, guest, host, way: way(&field.ty, &guest, &host) });
    }
    Some(())
}

/// What becomes of the pointers in data that is copied.
fn led(shape: &Shape, members: &mut [Member]) {
    for link in &shape.links {
        let is_it = |member: &&mut Member| {
            (member.guest.offset, member.host.offset) == (link.guest.into(), link.host.into())
        };
        let way = match link.target {
            Leads::Data(_) => "copied, with what it points at",
            Leads::Bytes { .. } => "checked, made an address",
            Leads::Handle { .. } => "a handle, made its object's address",
            Leads::Function { .. } => "a function, made a closure",
            Leads::Cookie { .. } => "a cookie",
            Leads::Native => "set by native code only",
        };
        if let Some(member) = members.iter_mut().find(is_it) {
            way.clone_into(&mut member.way);
        }
    }
}

/// What becomes of a field on its way to native code.
fn way(ty: &Type, guest: &Place, host: &Place) -> String {
    if guest.bits.is_some() || host.bits.is_some() {
        return "bits".to_owned();
    }
    if ty.pointee().is_some() {
        return "a pointer".to_owned();
    }
    match scalar_of(ty) {
        _ if guest.size == host.size => "the same bytes".to_owned(),
        Some(scalar) if scalar.is_signed() => "sign-extended".to_owned(),
        Some(scalar) if !scalar.is_float() => "zero-extended".to_owned(),
        Some(_) => "another format".to_owned(),
        None => "member by member".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of structs that are drawn, at most 4096")]
fn bytes(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis::plan::abi::assign;
    use portcullis::signature::parse_prototype;

    fn drawing(text: &str) -> Drawing {
        let scope = Scope::default();
        let prototype = parse_prototype(text, &scope).expect("it is a prototype");
        let abi = Abi::SysvX86_64;
        let assignment = assign(&prototype.function, &scope, abi).expect("it can be called");
        Drawing::new(&assignment, &prototype.function, abi)
    }

    #[test]
    fn neighbours_have_different_colours() {
        // The 18 parameters of the benchmark: the eighth and the sixteenth are beside each other on the stack.
        let mixed = "long f(long a, long b, long c, long d, long e, long f, double g, double h, double i, double j, \
                     double k, double l, double m, double n, long o, long p, long q, long s)";
        let mut twenty = String::from("int f(int a0");
        (1..20).for_each(|at| twenty.push_str(&format!(", int a{at}")));
        let halves = "void f(struct { long a; double b; } s, int b, int c, int d, double e, double f, int g, int h, int i, int j)";
        for text in [mixed, &(twenty + ")"), halves] {
            let drawing = drawing(text);
            for pair in drawing.slots.windows(2) {
                for one in pair[0].bytes.iter().flatten() {
                    for other in pair[1].bytes.iter().flatten().filter(|other| *other != one) {
                        assert_ne!(
                            drawing.fill(*one),
                            drawing.fill(*other),
                            "{text}: {one}, {other}"
                        );
                    }
                }
            }
        }
    }
}
