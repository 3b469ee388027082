//! Whether a plan's trampoline passes every value where the C ABI wants it: the places of its CLIF
//! signature are those of the assignment, and Cranelift, when it makes such a call, really fills them.
use portcullis::cranelift_backend::signature::NativeSignature;
use portcullis::cranelift_backend::{Unsupported, probe, signature_of};
use portcullis::plan::Plan;
use portcullis::plan::abi::{Abi, Assignment, Location, Piece, assign};
use portcullis::signature::{Function, Scope};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What was looked at.
#[derive(Debug, Default)]
pub struct Places {
    pub plans: usize,
    /// Signatures of which a trial call was made.
    pub tried: HashSet<NativeSignature>,
    /// Plans without a trampoline, by the reason.
    pub declined: BTreeMap<String, usize>,
}

impl Places {
    /// Looks at a plan.
    pub fn check(&mut self, plan: &Plan, function: &Function, scope: &Scope) {
        self.plans += 1;
        let signature = match signature_of(plan) {
            Ok(signature) => signature,
            Err(why @ (Unsupported::Location { .. } | Unsupported::Probe { .. })) => {
                panic!("{}: {why}", plan.prototype)
            }
            Err(why) => {
                *self.declined.entry(why.to_string()).or_default() += 1;
                return;
            }
        };
        let assignment = assign(function, scope, Abi::SysvX86_64).expect("the plan has one");
        compare(plan, &signature, &assignment);
        if self.tried.insert(signature.clone()) {
            probe::attempt(&signature).unwrap_or_else(|why| panic!("{}: {why}", plan.prototype));
        }
    }
}

fn compare(plan: &Plan, signature: &NativeSignature, assignment: &Assignment) {
    let params = || assignment.params.iter();
    let mut wanted: BTreeSet<Location> = params().flat_map(|value| words(&value.pieces)).collect();
    wanted.extend(params().filter_map(|value| value.indirect));
    wanted.extend(assignment.result.indirect);
    let mut filled: BTreeSet<Location> = signature.places().collect();
    // In front of stack arguments there are registers that the function does not read, and between
    // them there may be padding.
    filled.retain(|place| match place {
        Location::Integer(number) => *number < signature.integers,
        Location::Vector(_) | Location::X87(_) => true,
        Location::Stack(_) => wanted.contains(place),
    });
    assert_eq!(filled, wanted, "{}", plan.prototype);
    assert_eq!(8 * u32::from(signature.stack), assignment.stack_size, "{}", plan.prototype);
    let read: BTreeSet<Location> = signature.result_places().collect();
    let given: BTreeSet<Location> = words(&assignment.result.pieces).collect();
    // A plan that leaves the work after the call to the interpreter keeps all result registers.
    let missing = given.iter().find(|place| !read.contains(place));
    assert!(missing.is_none(), "{}: {missing:?} is not read", plan.prototype);
}

/// The registers and slots that pieces take. A vector of 16 bytes is one register.
fn words(pieces: &[Piece]) -> impl Iterator<Item = Location> {
    pieces.iter().flat_map(|piece| {
        let slots =
            if let Location::Stack(_) = piece.location { piece.size.div_ceil(8) } else { 1 };
        (0..slots).map(move |slot| match piece.location {
            Location::Stack(offset) => Location::Stack(offset + 8 * slot),
            register => register,
        })
    })
}
