//! Sessions of places, as a Redis server answers them.

use crate::command::testing::Desk;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn places_are_added_and_read_back() {
    let mut desk = Desk::new();
    desk.check("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2");
    desk.check("GEOADD g 13.361389 38.115556 Palermo", ":0");
    desk.check("GEOADD g CH 13.5 38.2 Palermo 2.349014 48.864716 Paris", ":2");
    desk.check("GEOADD g NX 1 1 Palermo", ":0");
    desk.check("GEOADD g XX 1 1 Rome", ":0");
    desk.check("GEOADD g NX CH 12.5 41.9 Rome", ":1");
    desk.check("TYPE g", "+zset");
    desk.check("ZRANGE g 0 -1 WITHSCORES", "*8 $7 Palermo $16 3479101704338477 $7 Catania $16 3479447370796909 $4 Rome $16 3480343095893889 $5 Paris $16 3663832805879806");
    desk.check("GEOPOS g Palermo none Catania", "*3 *2 $20 13.50000053644180298 $19 38.2000006309196749 *-1 *2 $20 15.08726745843887329 $20 37.50266842333162032");
    desk.check("GEOPOS none a b", "*2 *-1 *-1");
    desk.check("GEOPOS g", "*0");
    desk.check("GEOPOS none", "*0");
    desk.check("GEOHASH g Palermo none Catania", "*3 $11 sqc974n7hu0 $-1 $11 sqdtr74hyu0");
    desk.check("GEOHASH none a", "*1 $-1");
    desk.check("GEOHASH g", "*0");
    desk.check("GEODIST g Palermo Catania", "$11 159522.6271");
    desk.check("GEODIST g Palermo Catania km", "$8 159.5226");
    desk.check("GEODIST g Palermo Catania MI", "$7 99.1230");
    desk.check("GEODIST g Palermo Catania ft", "$11 523368.1992");
    desk.check("GEODIST g Palermo Palermo", "$6 0.0000");
    desk.check("GEODIST g Palermo none", "$-1");
    desk.check("GEODIST none Palermo Catania", "$-1");
}

#[test]
fn bad_words_of_places_are_refused() {
    let mut desk = Desk::new();
    desk.check("GEOADD g 1 2 a", ":1");
    desk.check("SET s 1", "+OK");
    for (line, fault) in [
        ("GEOADD g 1 2", "wrong number of arguments for 'geoadd' command"),
        ("GEOADD g NX XX CH", "syntax error"),
        ("GEOADD g NX XX 1 2 b", "syntax error"),
        ("GEOADD g NX CH NX", "syntax error"),
        ("GEOADD g 1 2 b 3", "syntax error"),
        ("GEOADD g GT 1 2 b", "syntax error"),
        ("GEOADD g x 2 b", "value is not a valid float"),
        ("GEOADD g 1 x b", "value is not a valid float"),
        ("GEOADD g nan 2 b", "value is not a valid float"),
        ("GEOADD g 181 2 b", "invalid longitude,latitude pair 181.000000,2.000000"),
        ("GEOADD g 1 -85.06 b", "invalid longitude,latitude pair 1.000000,-85.060000"),
        ("GEOADD g inf 2 b", "invalid longitude,latitude pair inf,2.000000"),
        ("GEOADD g 1 2 b 1 86 c", "invalid longitude,latitude pair 1.000000,86.000000"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("GEOADD s 1 2 b", WRONG_TYPE);
    desk.check("GEOADD s x 2 b", "-ERR value is not a valid float");
    desk.check("ZCARD g", ":1");
    for (line, fault) in [
        ("GEODIST g a b xx", "unsupported unit provided. please use M, KM, FT, MI"),
        ("GEODIST none a b xx", "unsupported unit provided. please use M, KM, FT, MI"),
        ("GEODIST g a b km x", "syntax error"),
        ("GEODIST g a", "wrong number of arguments for 'geodist' command"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    for line in ["GEODIST s a b", "GEOPOS s a", "GEOHASH s a"] {
        desk.check(line, WRONG_TYPE);
    }
    desk.check("GEOPOS", "-ERR wrong number of arguments for 'geopos' command");
}

/// The answers are those of Valkey 9.1.
#[test]
fn a_polygon_is_searched_as_in_valkey() {
    let mut desk = Desk::new();
    desk.check("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 2.35 48.85 Paris 12.7584 38.788135 e1 17.2415 38.788135 e2", ":5");
    let square = "BYPOLYGON 4 12 37 12 40 16 40 16 37";
    desk.check(
        &format!("GEOSEARCH g {square} ASC WITHDIST"),
        "*3 *2 $7 Palermo $10 71411.8477 *2 $2 e1 $11 111983.2754 *2 $7 Catania $11 147671.4895",
    );
    desk.check(&format!("GEOSEARCH g {square} DESC COUNT 1"), "*1 $7 Catania");
    desk.check("GEOSEARCH g BYPOLYGON 4 13.361389 30 13.361389 45 16 45 16 30 ASC", "*2 $7 Catania $7 Palermo");
    desk.check(
        "GEOSEARCH g BYPOLYGON 4 -179 -80 -179 80 179 80 179 -80 ASC COUNT 1 WITHDIST",
        "*1 *2 $5 Paris $13 14582647.1602",
    );
    desk.check("GEOSEARCH g BYPOLYGON 3 12 37 12 37 12 37", "*0");
    desk.check("GEOSEARCH none BYPOLYGON 3 12 37 12 40 16 40", "*0");
    desk.check("GEOSEARCHSTORE d g BYPOLYGON 3 12 37 12 40 16 40 STOREDIST", ":2");
    desk.check("ZRANGE d 0 -1", "*2 $2 e1 $7 Palermo");
    for (words, fault) in [
        ("BYPOLYGON 2 12 37 12 40", "GEOSEARCH BYPOLYGON must have at least 3 vertices"),
        ("BYPOLYGON 3 12 37 12 40 16", "GEOSEARCH BYPOLYGON must have at least 3 vertices"),
        ("BYPOLYGON 3 12 37 12 40 16 x", "value is not a valid float"),
        ("BYPOLYGON 3 12 37 12 400 16 1", "invalid longitude,latitude pair 12.000000,400.000000"),
        ("BYPOLYGON 3 12 37 12 40 16 40 FROMLONLAT 1 2", "syntax error"),
        ("FROMLONLAT 1 2 BYPOLYGON 3 12 37 12 40 16 40", "syntax error"),
        ("BYPOLYGON 3 12 37 12 40 16 40 BYRADIUS 1 km", "syntax error"),
        ("BYBOX 1 1 km BYPOLYGON 3 12 37 12 40 16 40", "syntax error"),
    ] {
        desk.check(&format!("GEOSEARCH g {words}"), &format!("-ERR {fault}"));
    }
}

#[test]
fn a_circle_and_a_box_are_searched() {
    let mut desk = Desk::new();
    desk.check("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge1 17.241510 38.788135 edge2", ":4");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC", "*2 $7 Catania $7 Palermo");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km DESC", "*2 $7 Palermo $7 Catania");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST WITHHASH", "*4 *4 $7 Catania $7 56.4413 :3479447370796909 *2 $20 15.08726745843887329 $20 37.50266842333162032 *4 $7 Palermo $8 190.4424 :3479099956230698 *2 $20 13.36138933897018433 $20 38.11555639549629859 *4 $5 edge2 $8 279.7403 :3481342659049484 *2 $20 17.24151045083999634 $20 38.78813451624225195 *4 $5 edge1 $8 279.7405 :3479273021651468 *2 $19 12.7584877610206604 $20 38.78813451624225195");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 3", "*3 $7 Catania $7 Palermo $5 edge2");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km DESC COUNT 1 WITHDIST", "*1 *2 $5 edge1 $8 279.7405");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km COUNT 1", "*1 $7 Catania");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km COUNT 1 ANY WITHDIST", "*1 *2 $7 Palermo $8 190.4424");
    desk.check("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 2 ANY", "*2 $7 Palermo $5 edge1");
    desk.check(
        "GEOSEARCH g frommember Palermo byradius 100 mi asc withdist",
        "*2 *2 $7 Palermo $6 0.0000 *2 $5 edge1 $7 56.7939",
    );
    desk.check("GEOSEARCH g FROMMEMBER Palermo BYRADIUS 0 m", "*1 $7 Palermo");
    desk.check("GEOSEARCH g FROMLONLAT 0 0 BYRADIUS 1 m", "*0");
    desk.check("GEOSEARCH none FROMLONLAT 15 37 BYRADIUS 200 km", "*0");
    desk.check("GEOSEARCH none FROMMEMBER x BYRADIUS 200 km", "*0");
    desk.check("GEORADIUS g 15 37 200 km WITHDIST ASC", "*2 *2 $7 Catania $7 56.4413 *2 $7 Palermo $8 190.4424");
    desk.check("GEORADIUS g 15 37 200 km COUNT 1", "*1 $7 Catania");
    desk.check("GEORADIUS_RO g 15 37 200 km DESC", "*2 $7 Palermo $7 Catania");
    desk.check(
        "GEORADIUSBYMEMBER g Palermo 200 km WITHDIST ASC",
        "*3 *2 $7 Palermo $6 0.0000 *2 $5 edge1 $7 91.4007 *2 $7 Catania $8 166.2742",
    );
    desk.check(
        "GEORADIUSBYMEMBER_RO g Palermo 200 km DESC WITHHASH",
        "*3 *2 $7 Catania :3479447370796909 *2 $5 edge1 :3479273021651468 *2 $7 Palermo :3479099956230698",
    );
    desk.check("GEORADIUS none 15 37 200 km", "*0");
    desk.check("GEORADIUSBYMEMBER none x 200 km", "*0");
}

#[test]
fn what_is_found_is_stored() {
    let mut desk = Desk::new();
    desk.check("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2");
    desk.check("SET d 1", "+OK");
    desk.check("EXPIRE d 100", ":1");
    desk.check("GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km", ":2");
    desk.check("TTL d", ":-1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*4 $7 Palermo $16 3479099956230698 $7 Catania $16 3479447370796909");
    desk.check("GEOSEARCHSTORE d g FROMMEMBER Palermo BYBOX 400 400 km ASC COUNT 1", ":1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*2 $7 Palermo $16 3479099956230698");
    desk.check("GEORADIUS g 15 37 200 km STORE a STORE b", ":2");
    desk.check("EXISTS a b", ":1");
    desk.check("ZRANGE b 0 -1 WITHSCORES", "*4 $7 Palermo $16 3479099956230698 $7 Catania $16 3479447370796909");
    desk.check("GEORADIUS g 15 37 200 km STOREDIST STORE STORE c", ":2");
    desk.check("ZCARD c", ":2");
    desk.check("EXISTS STORE", ":0");
    desk.check("GEORADIUSBYMEMBER g Palermo 200 km STORE d COUNT 1 DESC", ":1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*2 $7 Catania $16 3479447370796909");
    desk.check("GEORADIUSBYMEMBER g Palermo 0 km STOREDIST d", ":1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*2 $7 Palermo $1 0");
    desk.check("GEOSEARCHSTORE d g FROMLONLAT 50 50 BYRADIUS 4 km STOREDIST", ":0");
    desk.check("EXISTS d", ":0");
    desk.check("SET s 1", "+OK");
    desk.check("GEOSEARCHSTORE s none FROMMEMBER a BYRADIUS 4 km", ":0");
    desk.check("EXISTS s", ":0");
    desk.check("GEORADIUS none 1 2 3 km STORE s", ":0");
    desk.check("GEOSEARCHSTORE g g FROMMEMBER Catania BYRADIUS 1 km", ":1");
    desk.check("ZRANGE g 0 -1", "*1 $7 Catania");
}

#[test]
fn bad_words_of_searches_are_refused() {
    let mut desk = Desk::new();
    desk.check("GEOADD g 1 2 a", ":1");
    desk.check("SET s 1", "+OK");
    for (line, fault) in [
        ("GEORADIUS g x 2 3 km", "value is not a valid float"),
        ("GEORADIUS g 1 2 x km", "need numeric radius"),
        ("GEORADIUS g 1 2 -3 km", "radius cannot be negative"),
        ("GEORADIUS g 1 2 3 xx", "unsupported unit provided. please use M, KM, FT, MI"),
        ("GEORADIUS g 200 2 3 km", "invalid longitude,latitude pair 200.000000,2.000000"),
        ("GEORADIUS none x 2 3 km", "value is not a valid float"),
        ("GEORADIUS none 1 2 3 km FOO", "syntax error"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("GEORADIUS s x 2 3 km", WRONG_TYPE);
    for (line, fault) in [
        ("GEORADIUS g 1 2 3", "wrong number of arguments for 'georadius' command"),
        ("GEORADIUS g 1 2 3 km COUNT 0", "COUNT must be > 0"),
        ("GEORADIUS g 1 2 3 km COUNT -1", "COUNT must be > 0"),
        ("GEORADIUS g 1 2 3 km COUNT x", "value is not an integer or out of range"),
        ("GEORADIUS g 1 2 3 km COUNT", "syntax error"),
        ("GEORADIUS g 1 2 3 km ANY", "the ANY argument requires COUNT argument"),
        ("GEORADIUS g 1 2 3 km STORE", "syntax error"),
        (
            "GEORADIUS g 1 2 3 km STORE d WITHDIST",
            "STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        (
            "GEORADIUS g 1 2 3 km WITHHASH STOREDIST d",
            "STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        (
            "GEORADIUS g 1 2 3 km STORE d WITHCOORD ANY",
            "STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        ("GEORADIUS g 1 2 3 km BYRADIUS 1 m", "syntax error"),
        ("GEORADIUS_RO g 1 2 3 km STORE d", "syntax error"),
        ("GEORADIUSBYMEMBER g none 3 km", "could not decode requested zset member"),
        ("GEORADIUSBYMEMBER g none x km", "could not decode requested zset member"),
        ("GEORADIUSBYMEMBER g a x km", "need numeric radius"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("GEORADIUSBYMEMBER none none x xx", "*0");
    desk.check("GEORADIUSBYMEMBER none none 1 km FOO", "-ERR syntax error");
    desk.check("GEORADIUSBYMEMBER s a 1 km", WRONG_TYPE);
    for (line, fault) in [
        ("GEORADIUSBYMEMBER_RO g a 1 km STOREDIST d", "syntax error"),
        ("GEOSEARCH g FROMMEMBER none BYRADIUS 1 m", "could not decode requested zset member"),
        ("GEOSEARCH g FROMMEMBER a FROMLONLAT 1 2 BYRADIUS 1 m", "syntax error"),
        ("GEOSEARCH g FROMLONLAT 1 2 FROMMEMBER a BYRADIUS 1 m", "syntax error"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS 1 m BYBOX 1 1 m", "syntax error"),
        ("GEOSEARCH g FROMMEMBER a BYBOX 1 1 m BYRADIUS 1 m", "syntax error"),
        (
            "GEOSEARCH g FROMMEMBER a ASC DESC COUNT 1",
            "exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
        ),
        (
            "geosearch g BYRADIUS 1 m ASC DESC COUNT 1",
            "exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch",
        ),
        ("GEOSEARCH g FROMMEMBER a BYBOX x 1 m", "need numeric width"),
        ("GEOSEARCH g FROMMEMBER a BYBOX 1 x m", "need numeric height"),
        ("GEOSEARCH g FROMMEMBER a BYBOX -1 1 xx", "height or width cannot be negative"),
        ("GEOSEARCH g FROMMEMBER a BYBOX 1 1 xx", "unsupported unit provided. please use M, KM, FT, MI"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS x m", "need numeric radius"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS -1 xx", "radius cannot be negative"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS 1 xx", "unsupported unit provided. please use M, KM, FT, MI"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS 1 m STORE d", "syntax error"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS 1 m STOREDIST", "syntax error"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS 1 m ANY", "the ANY argument requires COUNT argument"),
        ("GEOSEARCH g FROMMEMBER a BYRADIUS 1", "wrong number of arguments for 'geosearch' command"),
        ("GEOSEARCH none FROMMEMBER a BYRADIUS 1 m ANY", "the ANY argument requires COUNT argument"),
        ("GEOSEARCH none FROMMEMBER a FROMLONLAT 1 2 BYRADIUS 1 m", "syntax error"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("GEOSEARCH s FROMMEMBER a BYRADIUS 1 m FOO", WRONG_TYPE);
    for (line, fault) in [
        (
            "GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1 m WITHDIST",
            "GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        (
            "Geosearchstore d g FROMMEMBER a ASC ASC ASC",
            "exactly one of BYRADIUS and BYBOX can be specified for Geosearchstore",
        ),
        (
            "GEOSEARCHSTORE d g BYRADIUS 1 m ASC ASC",
            "exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCHSTORE",
        ),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("GEOSEARCHSTORE d s FROMMEMBER a BYRADIUS 1 m", WRONG_TYPE);
    desk.check("GEOSEARCHSTORE d g FROMMEMBER a", "-ERR wrong number of arguments for 'geosearchstore' command");
    desk.check("EXISTS d", ":0");
}

#[test]
fn coordinates_are_doubles_in_resp3_and_distances_strings() {
    let mut desk = Desk::new();
    desk.check("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2");
    desk.set_protocol(3);
    desk.check("GEOPOS g Palermo none", "*2 *2 ,13.36138933897018433 ,38.11555639549629859 _");
    desk.check("GEOHASH g none", "*1 _");
    desk.check("GEODIST g Palermo Catania", "$11 166274.1516");
    desk.check("GEODIST g Palermo none", "_");
    desk.check(
        "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 100 km WITHCOORD WITHDIST WITHHASH",
        "*1 *4 $7 Catania $7 56.4413 :3479447370796909 *2 ,15.08726745843887329 ,37.50266842333162032",
    );
}

/// The elements of a reply that is a list of bulk strings.
fn elements(reply: &str) -> Vec<String> {
    reply.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with(['*', '$'])).map(str::to_owned).collect()
}

#[test]
fn a_count_takes_the_front_of_the_whole_answer() {
    let mut desk = Desk::new();
    // Pairs of members share a place, so that distances are the same.
    for n in 0..200 {
        desk.check(&format!("GEOADD g {}.5 {} m{n}", (n / 2) % 17, (n / 2) % 13), ":1");
    }
    for order in ["ASC", "DESC"] {
        let line = format!("GEOSEARCH g FROMLONLAT 8 6 BYRADIUS 2000 km {order}");
        let all = elements(&desk.run(&line));
        assert_eq!(all.len(), 200);
        for count in [1, 2, 3, 50, 199, 200, 500] {
            let some = elements(&desk.run(&format!("{line} COUNT {count}")));
            assert_eq!(some, all[..count.min(200)], "{order} COUNT {count}");
        }
    }
}

#[test]
fn scores_that_no_place_has_are_places_all_the_same() {
    let mut desk = Desk::new();
    desk.check("ZADD g inf a 1e19 b 18446744073709551616 c -inf d 9.3e18 e -1e19 f", ":6");
    let corner =
        |longitude: &str, latitude: &str| format!("*2 ${} {longitude} ${} {latitude}", longitude.len(), latitude.len());
    let first = corner("-179.99999731779098511", "-85.05112751263942528");
    let last = corner("180", "85.0511287799999991");
    let south = corner("180", "-85.05112751263942528");
    for (member, expected) in [("a", &first), ("b", &last), ("c", &first), ("d", &south), ("e", &last), ("f", &south)] {
        desk.check(&format!("GEOPOS g {member}"), &format!("*1 {expected}"));
    }
}
