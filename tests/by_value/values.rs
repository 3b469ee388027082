//! Random values: the bytes that a guest has, and those that C code on the host must see.
use crate::c_types::{self, Rng};
use portcullis::plan::abi::Abi;
use portcullis::plan::layout::{DataModel, Place, Scalar, Target, record_on, scalar_of};
use portcullis::signature::{
    Expr, ExprKind, Float, Record, RecordKind, Scope, Span, Type, TypeKind,
};

const GUEST: Target = Target::Guest(DataModel::Ilp32);
const HOST: Target = Target::Host(Abi::SysvX86_64);

/// A value in both memories, and which bits of it mean something.
pub struct Value {
    pub guest: Vec<u8>,
    pub guest_mask: Vec<u8>,
    pub host: Vec<u8>,
    pub host_mask: Vec<u8>,
}

/// A random value of that type.
pub fn value(ty: &Type, rng: &mut Rng) -> Value {
    let (guest, host) = (c_types::size(ty, GUEST), c_types::size(ty, HOST));
    let mut value = Value {
        guest: vec![0; guest],
        guest_mask: vec![0; guest],
        host: vec![0; host],
        host_mask: vec![0; host],
    };
    if ty.kind != TypeKind::Void {
        value.fill(ty, 0, 0, rng);
    }
    // What is padding holds anything.
    for (byte, mask) in value.guest.iter_mut().zip(&value.guest_mask) {
        *byte |= rng.next().to_le_bytes()[0] & !mask;
    }
    value
}

impl Value {
    fn guest(&mut self, at: usize, bytes: &[u8]) {
        self.guest[at..at + bytes.len()].copy_from_slice(bytes);
        self.guest_mask[at..at + bytes.len()].fill(0xff);
    }

    fn host(&mut self, at: usize, bytes: &[u8]) {
        self.host[at..at + bytes.len()].copy_from_slice(bytes);
        self.host_mask[at..at + bytes.len()].fill(0xff);
    }

    fn fill(&mut self, ty: &Type, guest: usize, host: usize, rng: &mut Rng) {
        if let Some(scalar) = scalar_of(ty) {
            return self.scalar(scalar, guest, host, rng);
        }
        match &ty.kind {
            TypeKind::Complex(part) => {
                let part = Scalar::Float(*part);
                let size = usize::try_from(part.host_size()).expect("small");
                self.scalar(part, guest, host, rng);
                self.scalar(part, guest + size, host + size, rng);
            }
            TypeKind::Vector { bytes, .. } => {
                for index in 0..usize::try_from(*bytes).expect("small") {
                    let byte = rng.next().to_le_bytes()[0];
                    self.guest(guest + index, &[byte]);
                    self.host(host + index, &[byte]);
                }
            }
            TypeKind::Array { element, length } => {
                let Some(Expr { kind: ExprKind::Integer(length), .. }) = length else { return };
                let (one, there) = (c_types::size(element, GUEST), c_types::size(element, HOST));
                for index in 0..usize::try_from(*length).expect("small") {
                    self.fill(element, guest + index * one, host + index * there, rng);
                }
            }
            TypeKind::Record(record) => self.record(record, guest, host, rng),
            _ => panic!("no value"),
        }
    }

    fn record(&mut self, record: &Record, guest: usize, host: usize, rng: &mut Rng) {
        let scope = Scope::default();
        let places = |target| {
            let (_, places) = record_on(record, Span::default(), &scope, target).expect("laid out");
            places
        };
        let body = record.body.as_ref().expect("has a body");
        let fields = body.fields.iter().zip(places(GUEST)).zip(places(HOST));
        // A union of one member is that member.
        if record.kind == RecordKind::Union && body.fields.len() > 1 {
            // Its members are moved as they are: bytes where any of them is.
            let mut mask = vec![0; self.host.len() + 32];
            for ((field, _), place) in fields {
                if field.name.is_some() || place.bits.is_none() {
                    bits(&field.ty, place, &mut mask);
                }
            }
            let size = c_types::size(&c_types::ty(TypeKind::Record(record.clone())), HOST);
            // What only aligns it may make it larger on the host than in the guest's memory.
            let meant = mask[..size].iter().enumerate().filter(|(_, mask)| **mask != 0);
            for (index, mask) in meant {
                let byte = rng.next().to_le_bytes()[0] & mask;
                self.guest[guest + index] |= byte;
                self.guest_mask[guest + index] |= mask;
                self.host[host + index] |= byte;
                self.host_mask[host + index] |= mask;
            }
            return;
        }
        for ((field, kept), found) in fields {
            let at = |place: &Place| usize::try_from(place.offset).expect("small");
            match (kept.bits, found.bits) {
                (Some(here), Some(there)) => {
                    if field.name.is_none() {
                        continue;
                    }
                    for bit in 0..here.width {
                        let set = rng.once_in(2);
                        let one = |bytes: &mut [u8], base: usize, bit: u32, set: bool| {
                            let at = base + usize::try_from(bit / 8).expect("small");
                            bytes[at] |= u8::from(set) << (bit % 8);
                        };
                        let (g, h) = (guest + at(&kept), host + at(&found));
                        one(&mut self.guest, g, here.shift + bit, set);
                        one(&mut self.guest_mask, g, here.shift + bit, true);
                        one(&mut self.host, h, there.shift + bit, set);
                        one(&mut self.host_mask, h, there.shift + bit, true);
                    }
                }
                _ => self.fill(&field.ty, guest + at(&kept), host + at(&found), rng),
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar, guest: usize, host: usize, rng: &mut Rng) {
        let kept = usize::try_from(scalar.guest_size(DataModel::Ilp32)).expect("small");
        let size = usize::try_from(scalar.host_size()).expect("small");
        match scalar {
            Scalar::Bool => {
                // What the library returns must be a `bool`; a guest's may be anything, which the
                // tests of moves show.
                let byte = u8::from(rng.once_in(2));
                self.guest(guest, &[byte]);
                self.host(host, &[byte]);
            }
            Scalar::Float(Float::LongDouble) => {
                let (quad, x87) = long_double(rng);
                self.guest(guest, &quad.to_le_bytes());
                self.host(host, &x87.to_le_bytes()[..10]);
            }
            _ => {
                let bits = u128::from(rng.next()) << 64 | u128::from(rng.next());
                // Of the fewer bits that the guest has, extended as the type asks.
                let shift = 128 - 8 * u32::try_from(kept).expect("small");
                let value = if scalar.is_signed() {
                    ((bits << shift).cast_signed() >> shift).cast_unsigned()
                } else {
                    bits << shift >> shift
                };
                self.guest(guest, &value.to_le_bytes()[..kept]);
                self.host(host, &value.to_le_bytes()[..size]);
            }
        }
    }
}

/// The bits that a member of a union takes.
fn bits(ty: &Type, place: Place, mask: &mut [u8]) {
    let at = usize::try_from(place.offset).expect("small");
    match place.bits {
        None => c_types::meaning(ty, HOST, at, mask),
        Some(range) => {
            for bit in range.shift..range.shift + range.width {
                mask[at + usize::try_from(bit / 8).expect("small")] |= 1 << (bit % 8);
            }
        }
    }
}

/// A random number in both formats of `long double`: it has 64 significant bits.
fn long_double(rng: &mut Rng) -> (u128, u128) {
    let (sign, fraction) = (u128::from(rng.next() & 1), rng.next() >> 1);
    let exponent = u128::from(1 + rng.next() % 0x7ffd);
    let quad = sign << 127 | exponent << 112 | u128::from(fraction) << 49;
    let x87 = sign << 79 | exponent << 64 | u128::from(1 << 63 | fraction);
    (quad, x87)
}
