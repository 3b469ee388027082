//! Random numbers that come again: SplitMix64 from a seed that the test prints.

/// A generator. Equal seeds give equal numbers, on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of that seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a bound of a test");
        usize::try_from(self.next() % bound).expect("it is below the bound")
    }

    /// True in `of` cases out of `all`.
    pub fn chance(&mut self, of: usize, all: usize) -> bool {
        self.below(all) < of
    }

    /// One of `items`, of which there is at least one.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// `PORTCULLIS_SEED`, or `usual`. Prints it, so that a failure can be had again.
pub fn seed(usual: u64) -> u64 {
    let seed = match std::env::var("PORTCULLIS_SEED") {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("PORTCULLIS_SEED={text:?} is no number"))
        }
        Err(_) => usual,
    };
    println!("seed {seed}; the same again with PORTCULLIS_SEED={seed}");
    seed
}
