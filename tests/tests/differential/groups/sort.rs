//! SORT over lists, sets and sorted sets of numbers, with weights in strings and hashes.

use super::Group;

pub const GROUP: Group = Group {
    name: "sort",
    lines: &[
        (8, "RPUSH nl1|nl2 NUM+"),
        (8, "SADD ns1|ns2 NUM+"),
        (6, "ZADD nz1|nz2 (NUM NUM)+"),
        (1, "SADD ns1|ns2 MEMBER"),
        (2, "LTRIM nl1|nl2 -20 -1"),
        (4, "MSET (WKEY NUM)+"),
        (3, "HSET WHASH (f|g NUM)+"),
        (8, "SORT|SORT_RO nl1|nl2|ns1|ns2|nz1|nz2 ALPHA? ASC|DESC? (LIMIT FEW INDEX)?"),
        (8, "SORT|SORT_RO nl1|nl2|ns1|ns2|nz1|nz2 (BY 'w:*'|'wh:*->f')? (GET '#'|'w:*'|'wh:*->f'|'wh:*->')+ ASC|DESC?"),
        (6, "SORT nl1|nl2|ns1|ns2|nz1|nz2 (BY 'w:*'|'wh:*->g')? (LIMIT FEW INDEX)? ASC|DESC? STORE LKEY|nl1"),
        (4, "SORT nl1|nl2|ns1|ns2|nz1|nz2 (GET '#'|'w:*')? ALPHA? STORE LKEY|nl1"),
        (4, "SORT|SORT_RO nl1|nl2|nz1|nz2 BY nosort|'->f'|'w:*->' (LIMIT FEW INDEX)? ASC|DESC? (GET 'w:*')?"),
        (2, "SORT ns1|ns2 BY nosort (GET '#')?"),
        (3, "SORT|SORT_RO nl1|nl2|ns1|ns2|nz1|nz2 BY 'w:*'|'wh:*->f' ALPHA ASC|DESC? (GET '#'|'w:*')?"),
        (4, "SORT|SORT_RO KEY ALPHA? ASC|DESC? (LIMIT FEW INDEX)?"),
    ],
    ..Group::EMPTY
};
