//! The generator of the random suites (see `tests/support/rng.rs`), fed with bytes: what they hold decides
//! first, and then numbers that follow from them.

/// As the other one, equal bytes give equal numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    bytes: Vec<u8>,
    at: usize,
    state: u64,
}

impl Rng {
    pub fn from_bytes(bytes: &[u8]) -> Rng {
        let mix = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Rng { bytes: bytes.to_vec(), at: 0, state: bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix) }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn follows(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn next(&mut self) -> u64 {
        match self.byte() {
            None => self.follows(),
            // Short ones are as good as long ones most of the time.
            Some(short @ 0..=63) => u64::from(short),
            Some(_) => u64::from_le_bytes(std::array::from_fn(|_| self.byte().unwrap_or(0x5a))),
        }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        let number = match self.byte() {
            None => self.follows(),
            Some(byte) if bound <= 256 => byte.into(),
            Some(byte) => u64::from(byte) << 8 | u64::from(self.byte().unwrap_or(0)),
        };
        let bound = u64::try_from(bound).expect("a bound of a test");
        usize::try_from(number % bound).expect("it is below the bound")
    }

    pub fn chance(&mut self, of: usize, all: usize) -> bool {
        self.below(all) < of
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
