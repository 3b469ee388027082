//! Plans of the compiler are accepted; plans that were tampered with are refused.
use super::*;

pub(in crate::plan) mod corpus;

#[test]
fn what_the_compiler_makes_is_accepted() {
    let plans = corpus::plans();
    assert!(plans.len() >= 200, "only {}", plans.len());
    for (text, plan, abi) in &plans {
        if let Err(error) = verify(plan, *abi) {
            panic!("{text}: {error}\n{plan:#?}");
        }
    }
}
