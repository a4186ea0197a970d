//! Strings as bits.

use super::Group;

pub const GROUP: Group = Group {
    name: "bits",
    lines: &[
        (12, "SETBIT BKEY BITPLACE 0|1"),
        (2, "SETBIT BKEY BITPLACE x|2|-1"),
        (6, "SET BKEY VALUE"),
        (8, "GETBIT BKEY BITPLACE"),
        (8, "BITCOUNT BKEY (INDEX INDEX)? BYTE|BIT?"),
        (8, "BITPOS BKEY 0|1 INDEX? INDEX? BYTE|BIT?"),
        (2, "BITPOS BKEY 2|x|-1 INDEX?"),
        (8, "BITOP AND|OR|XOR BKEY BKEY+"),
        (4, "BITOP NOT BKEY BKEY"),
        (1, "BITOP NOT|nonsense BKEY BKEY+"),
        (6, "BITFIELD BKEY (GET BITTYPE BITAT)+"),
        (6, "BITFIELD BKEY (SET BITTYPE BITAT INT)+"),
        (8, "BITFIELD BKEY (OVERFLOW WRAP|SAT|FAIL|nonsense)? (INCRBY BITTYPE BITAT INT)+"),
        (
            4,
            "BITFIELD BKEY (GET BITTYPE BITAT)? (OVERFLOW SAT|FAIL)? (SET BITTYPE BITAT INT)? (INCRBY BITTYPE BITAT INT)?",
        ),
        (4, "BITFIELD_RO BKEY (GET|GET|GET|GET|SET BITTYPE BITAT)+"),
        (4, "GET BKEY"),
    ],
    ..Group::EMPTY
};
