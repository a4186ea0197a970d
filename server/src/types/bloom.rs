//! Bloom filters: sets that never deny a member, and take others for one at a known rate (Bloom 1970). Bits are found by double hashing
//! (Kirsch and Mitzenmacher 2006). A filter grows by layers of tighter rates, so that the rate it was made for holds however many there
//! are (Almeida et al. 2007).
//!
//! Hashes, sizes and rates are those of RedisBloom, so that what either has written the other reads: a layer of `n` items at the rate `p` has
//! `n log2(1/p) / ln 2` bits, rounded up to words, and `log2(1/p)` hashes, rounded up; the first layer has half of the rate asked for, each
//! other half of the rate of the one before. Only that a layer may be smaller than its turn, and that blocks without a bit take no
//! memory, are ours.

use super::shared::SharedVec;
use crate::base::murmur::murmur64;
use std::fmt;

/// Bytes of a block. A change of a bit copies the block if a snapshot shares it.
const BLOCK: usize = 16 << 10;

/// The most bytes that the bits of one layer may take, so that the list of its blocks is copied in some 100 microseconds.
pub const LAYER_BYTES_MAX: u64 = 256 << 20;

/// The most bytes that all bits of a filter may take.
pub const BYTES_MAX: u64 = 4 << 30;

/// The most layers a filter may have. Each is looked into for what is not there.
pub const LAYERS_MAX: usize = 64;

/// The most by which the capacity of a layer may be that of the one before.
pub const EXPANSION_MAX: u32 = 32_768;

/// What is asked for if nothing is said.
pub const CAPACITY: u64 = 100;
pub const ERROR_RATE: f64 = 0.01;
pub const EXPANSION: u32 = 2;

/// Why there is no such filter, or no further item in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloomError {
    /// A capacity or a rate that means nothing, or facts of a layer that contradict each other.
    Unsound,
    /// The bits would take more than [`LAYER_BYTES_MAX`] or [`BYTES_MAX`].
    TooLarge,
    /// It was made not to grow.
    Full,
    /// It has [`LAYERS_MAX`] layers, or as many bytes as it may.
    Grown,
}

impl fmt::Display for BloomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BloomError::Unsound => f.write_str("there is no filter of this capacity and error rate"),
            BloomError::TooLarge => {
                write!(f, "a filter of this capacity and error rate would take more than {} MiB", LAYER_BYTES_MAX >> 20)
            }
            BloomError::Full => f.write_str("non scaling filter is full"),
            BloomError::Grown => f.write_str("Maximum expansions reached"),
        }
    }
}

impl std::error::Error for BloomError {}

/// The two hashes of an item, from which all its bits follow. They are the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashes {
    first: u64,
    step: u64,
}

impl Hashes {
    pub fn of(item: &[u8]) -> Hashes {
        let first = murmur64(item, 0xc6a4_a793_5bd1_e995);
        Hashes { first, step: murmur64(item, first) }
    }

    /// The bits in a layer of so many.
    #[inline]
    fn bits(self, shape: &Shape) -> impl Iterator<Item = u64> + use<> {
        let Hashes { first, step } = self;
        let bits = shape.bits;
        (0..u64::from(shape.hashes)).map(move |number| first.wrapping_add(number.wrapping_mul(step)) % bits)
    }
}

/// What a layer is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Items at which its rate is reached.
    pub capacity: u64,
    /// The rate at which others are taken for members.
    pub error_rate: f64,
    /// A multiple of 64.
    pub bits: u64,
    pub hashes: u32,
    /// Of the exact number, before it is rounded up.
    pub bits_per_item: f64,
}

impl Shape {
    /// The shape for a capacity and a rate.
    ///
    /// # Errors
    ///
    /// [`BloomError::Unsound`] and [`BloomError::TooLarge`]
    pub fn of(capacity: u64, error_rate: f64) -> Result<Shape, BloomError> {
        if capacity == 0 || !(error_rate > 0.0 && error_rate < 1.0) {
            return Err(BloomError::Unsound);
        }
        let bits_per_item = Shape::bits_per_item(error_rate);
        let bits = (capacity as f64 * bits_per_item) as u64;
        if bits > LAYER_BYTES_MAX * 8 {
            return Err(BloomError::TooLarge);
        }
        let bits = bits.max(1).next_multiple_of(64);
        Ok(Shape { capacity, error_rate, bits, hashes: hashes(bits_per_item), bits_per_item })
    }

    fn bits_per_item(error_rate: f64) -> f64 {
        // As many digits as RedisBloom has, or else a layer might differ from its by a word.
        const LN2_SQUARED: f64 = 0.480_453_013_918_201;
        -(error_rate.ln() / LN2_SQUARED)
    }

    /// The largest shape up to a capacity.
    fn up_to(capacity: u64, error_rate: f64) -> Result<Shape, BloomError> {
        if error_rate <= 0.0 {
            return Err(BloomError::Unsound);
        }
        let most = (LAYER_BYTES_MAX * 8) as f64 / Shape::bits_per_item(error_rate);
        Shape::of(capacity.min(most as u64), error_rate)
    }

    /// Whether what was read somewhere may be a layer.
    fn check(&self) -> Result<(), BloomError> {
        let Shape { capacity, error_rate, bits, hashes: count, bits_per_item } = *self;
        let is_sound = capacity > 0
            && error_rate > 0.0
            && error_rate < 1.0
            && bits > 0
            && bits.is_multiple_of(64)
            && bits_per_item > 0.0
            && bits_per_item < 2000.0
            && count == hashes(bits_per_item);
        match is_sound {
            true if bits <= LAYER_BYTES_MAX * 8 => Ok(()),
            true => Err(BloomError::TooLarge),
            false => Err(BloomError::Unsound),
        }
    }

    /// Bytes of the bits.
    pub fn bytes(&self) -> u64 {
        self.bits / 8
    }
}

fn hashes(bits_per_item: f64) -> u32 {
    #[expect(
        clippy::approx_constant,
        reason = "RedisBloom has as many digits, and refuses a layer with another number of hashes"
    )]
    const LN2: f64 = 0.693_147_180_559_945;
    (LN2 * bits_per_item).ceil() as u32
}

/// A filter for so many items, and its bits.
#[derive(Clone)]
pub struct Layer {
    pub shape: Shape,
    pub items: u64,
    /// Each without bytes as long as no bit in it is set.
    blocks: SharedVec<SharedVec<u8>>,
}

/// Bytes of a block without a bit.
static NOTHING: [u8; BLOCK] = [0; BLOCK];

impl Layer {
    fn new(shape: Shape) -> Layer {
        let count = (shape.bytes() as usize).div_ceil(BLOCK);
        let mut blocks = SharedVec::with_capacity(count);
        (0..count).for_each(|_| blocks.push(SharedVec::new()));
        Layer { shape, items: 0, blocks }
    }

    #[inline]
    fn has(&self, item: Hashes) -> bool {
        item.bits(&self.shape).all(|bit| {
            let byte = (bit / 8) as usize;
            self.blocks[byte / BLOCK].get(byte % BLOCK).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        })
    }

    fn add(&mut self, item: Hashes) {
        for bit in item.bits(&self.shape) {
            let byte = (bit / 8) as usize;
            self.block(byte / BLOCK)[byte % BLOCK] |= 1 << (bit % 8);
        }
        self.items += 1;
    }

    /// The length of a block.
    fn block_len(&self, number: usize) -> usize {
        BLOCK.min(self.shape.bytes() as usize - number * BLOCK)
    }

    /// A block with all its bytes.
    fn block(&mut self, number: usize) -> &mut [u8] {
        let len = self.block_len(number);
        let block = &mut self.blocks[number];
        if block.is_empty() {
            *block = SharedVec::from(&NOTHING[..len]);
        }
        block
    }

    /// The bytes of the bits from one on, in parts.
    pub fn bytes_from(&self, at: usize) -> impl Iterator<Item = &[u8]> {
        let first = at / BLOCK;
        (first..self.blocks.len()).map(move |number| {
            let block = &*self.blocks[number];
            let block = if block.is_empty() { &NOTHING[..self.block_len(number)] } else { block };
            &block[if number == first { at % BLOCK } else { 0 }..]
        })
    }

    /// Writes bytes of the bits from one on. There are so many.
    fn write(&mut self, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let number = at / BLOCK;
            let len = bytes.len().min(BLOCK - at % BLOCK);
            let (part, rest) = bytes.split_at(len);
            // What has no bit goes on taking no memory.
            if !self.blocks[number].is_empty() || part.iter().any(|byte| *byte != 0) {
                self.block(number)[at % BLOCK..][..len].copy_from_slice(part);
            }
            (at, bytes) = (at + len, rest);
        }
    }

    /// Heap bytes.
    fn heap_bytes(&self) -> usize {
        self.blocks.bytes() + self.blocks.iter().map(SharedVec::bytes).sum::<usize>()
    }
}

/// A filter. A clone shares its parts until either is changed.
#[derive(Clone)]
pub struct Bloom {
    layers: SharedVec<Layer>,
    /// How much larger each layer is than the one before; 0 if there is to be but one.
    expansion: u32,
}

impl Bloom {
    /// A filter as one is made if nothing is said.
    pub fn new() -> Bloom {
        Bloom::reserve(CAPACITY, ERROR_RATE, Some(EXPANSION)).expect("it is a small one")
    }

    /// A filter for so many items, that takes others for one of them at most at this rate. With an expansion it grows beyond that.
    ///
    /// # Errors
    ///
    /// [`BloomError::Unsound`] and [`BloomError::TooLarge`]
    pub fn reserve(capacity: u64, error_rate: f64, expansion: Option<u32>) -> Result<Bloom, BloomError> {
        // All layers together are to have that rate: a half, a quarter, an eighth, ...
        let first = if expansion.is_some() { error_rate / 2.0 } else { error_rate };
        if error_rate >= 1.0 {
            return Err(BloomError::Unsound);
        }
        let mut bloom = Bloom::without_layers(expansion);
        bloom.push(Layer::new(Shape::of(capacity, first)?));
        Ok(bloom)
    }

    /// A filter that is to be given its layers.
    pub fn without_layers(expansion: Option<u32>) -> Bloom {
        Bloom { layers: SharedVec::new(), expansion: expansion.map_or(0, |expansion| expansion.max(1)) }
    }

    fn push(&mut self, layer: Layer) {
        self.layers.reserve_exact(1);
        self.layers.push(layer);
    }

    /// Adds a layer that was read somewhere, without bits.
    ///
    /// # Errors
    ///
    /// If there is no such layer, or no room for it.
    pub fn push_layer(&mut self, shape: Shape, items: u64) -> Result<(), BloomError> {
        shape.check()?;
        if self.layers.len() >= LAYERS_MAX || self.bit_bytes() + shape.bytes() > BYTES_MAX {
            return Err(BloomError::Grown);
        }
        // Sums of items stay within 64 bits.
        if items > u64::MAX / LAYERS_MAX as u64 {
            return Err(BloomError::Unsound);
        }
        self.push(Layer { items, ..Layer::new(shape) });
        Ok(())
    }

    /// Writes bytes of the bits of all layers, as if they stood behind each other.
    ///
    /// # Errors
    ///
    /// [`BloomError::Unsound`] if they are no bytes of a single layer.
    pub fn write(&mut self, mut at: u64, bytes: &[u8]) -> Result<(), BloomError> {
        for number in 0..self.layers.len() {
            let all = self.layers[number].shape.bytes();
            if at < all {
                if bytes.len() as u64 > all - at {
                    return Err(BloomError::Unsound);
                }
                self.layers[number].write(at as usize, bytes);
                return Ok(());
            }
            at -= all;
        }
        Err(BloomError::Unsound)
    }

    /// The layer in which a byte of the bits of all layers lies, and its number there.
    pub fn layer_at(&self, mut at: u64) -> Option<(&Layer, usize)> {
        for layer in &self.layers {
            match at.checked_sub(layer.shape.bytes()) {
                None => return Some((layer, at as usize)),
                Some(rest) => at = rest,
            }
        }
        None
    }

    /// Whether an item may be a member. If it was added, it is.
    #[inline]
    pub fn has(&self, item: Hashes) -> bool {
        // Most are in the newest, which is the largest.
        self.layers.iter().rev().any(|layer| layer.has(item))
    }

    /// Adds an item that [`Bloom::has`] has denied.
    ///
    /// # Errors
    ///
    /// [`BloomError::Full`] and [`BloomError::Grown`]
    pub fn add(&mut self, item: Hashes) -> Result<(), BloomError> {
        if self.layers.last().is_none_or(|last| last.items >= last.shape.capacity) {
            self.grow()?;
        }
        let last = self.layers.len() - 1;
        self.layers[last].add(item);
        Ok(())
    }

    /// Whether it can take a further item.
    pub fn has_room(&self) -> bool {
        self.layers.last().is_some_and(|last| last.items < last.shape.capacity) || self.next_shape().is_ok()
    }

    fn grow(&mut self) -> Result<(), BloomError> {
        let shape = self.next_shape()?;
        self.push(Layer::new(shape));
        Ok(())
    }

    /// The shape of the layer that comes next.
    fn next_shape(&self) -> Result<Shape, BloomError> {
        let last = self.layers.last().filter(|_| self.expansion > 0).ok_or(BloomError::Full)?;
        let capacity = last.shape.capacity.saturating_mul(self.expansion.into());
        let shape = Shape::up_to(capacity, last.shape.error_rate / 2.0).map_err(|_| BloomError::Grown)?;
        if self.layers.len() >= LAYERS_MAX || self.bit_bytes() + shape.bytes() > BYTES_MAX {
            return Err(BloomError::Grown);
        }
        Ok(shape)
    }

    /// Oldest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// How much larger a layer is than the one before; `None` if the filter does not grow.
    pub fn expansion(&self) -> Option<u32> {
        (self.expansion > 0).then_some(self.expansion)
    }

    /// Items that were added, without those that were taken for members before.
    pub fn len(&self) -> u64 {
        self.layers.iter().map(|layer| layer.items).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items for which the layers are made.
    pub fn capacity(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.shape.capacity))
    }

    /// The rate that the filter was made for.
    pub fn error_rate(&self) -> f64 {
        let first = self.layers.first().map_or(ERROR_RATE, |layer| layer.shape.error_rate);
        if self.expansion > 0 { first * 2.0 } else { first }
    }

    /// Bytes of all bits, though some may take no memory.
    pub fn bit_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.shape.bytes()).sum()
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        self.layers.bytes() + self.layers.iter().map(Layer::heap_bytes).sum::<usize>()
    }

    /// Where the first bytes below lie that a command reads.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        self.layers.as_ptr().cast()
    }
}

impl Default for Bloom {
    fn default() -> Bloom {
        Bloom::new()
    }
}

#[cfg(test)]
mod tests;
