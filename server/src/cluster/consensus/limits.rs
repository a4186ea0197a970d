//! The bounds of the control plane.

/// Voters of a cluster. More of them would make every change slower and nothing safer: 7 survive the loss of 3.
pub const VOTERS_MAX: usize = 7;
/// Voters and learners together.
pub const MEMBERS_MAX: usize = 4096;
/// Members that one change may concern.
pub const CHANGES_MAX: usize = 16;
/// Bytes of one proposal.
pub const PROPOSAL_BYTES_MAX: usize = 1 << 20;
/// Proposals that are not yet settled.
pub const PROPOSALS_MAX: usize = 4096;
/// Bytes of proposals that are not yet committed; what comes beyond is refused.
pub const UNCOMMITTED_BYTES_MAX: usize = 8 << 20;
/// Bytes of the log in memory from which on a leader refuses proposals until the log has been compacted.
pub const LOG_BYTES_MAX: usize = 64 << 20;
/// Bytes of a snapshot of the state machine.
pub const SNAPSHOT_BYTES_MAX: usize = 16 << 20;
/// Bytes of entries in one message, unless a single entry is larger.
pub const APPEND_BYTES_MAX: usize = 1 << 20;
/// Messages with entries on their way to one peer.
pub const INFLIGHT_MAX: usize = 64;
/// Entries in one message.
pub const ENTRIES_MAX: usize = 1 << 16;
/// Bytes that name a round of reads.
pub const CONTEXT_BYTES_MAX: usize = 64;
/// Reads that are not yet settled, here; and rounds of reads that a leader holds for others.
pub const READS_MAX: usize = 4096;
/// Bytes of the largest message. Whoever reads one from a socket asks for no more.
pub const MESSAGE_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX + (128 << 10);
/// Bytes of committed entries that one step hands out.
pub const APPLY_BYTES_MAX: usize = 4 << 20;
/// Bytes of a file of the journal from which on the next one is begun.
pub const SEGMENT_BYTES: u64 = 4 << 20;

/// The largest member's number, index and term that is believed, so that counting on from it cannot overflow.
pub const NUMBER_MAX: u64 = 1 << 62;

/// Ticks without a word from the leader after which a voter stands for election, or up to one less than twice as many.
pub const ELECTION_TICKS: usize = 10;
/// Ticks after which a voter that stands and has not won stands again, or up to almost four times as many; twice as many the second
/// time, and so on up to the time above. An election takes a few milliseconds, so by then the vote is split.
pub const STAND_AGAIN_TICKS: u32 = 2;
/// Ticks between two heartbeats of the leader.
pub const HEARTBEAT_TICKS: usize = 2;
/// Ticks after which a snapshot that was sent and never confirmed is sent again.
pub const SNAPSHOT_RETRY_TICKS: u32 = 4 * ELECTION_TICKS as u32;
/// Ticks after which a round of reads without an answer is asked again.
pub const READ_RETRY_TICKS: u32 = ELECTION_TICKS as u32;
/// Ticks after which a read is given up.
pub const READ_TICKS_MAX: u32 = 6 * ELECTION_TICKS as u32;

const _: () = assert!(HEARTBEAT_TICKS < ELECTION_TICKS);
const _: () = assert!(APPEND_BYTES_MAX + PROPOSAL_BYTES_MAX + 32 * ENTRIES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(3 * 8 * MEMBERS_MAX < MESSAGE_BYTES_MAX - SNAPSHOT_BYTES_MAX);
const _: () = assert!(PROPOSAL_BYTES_MAX < UNCOMMITTED_BYTES_MAX && UNCOMMITTED_BYTES_MAX < LOG_BYTES_MAX);
