//! What an operator types about dead letters, and sees of them. The services are stand-ins that say what they are told
//! to; what real ones say is tried where they are.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as its assertions do")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread,
};

use crate::waybill::{done, run, waybill};

/// A service that gives each answer once, in turn.
struct Service {
    url: String,
    asked: Receiver<String>,
}

impl Service {
    fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, asked) = channel();
        let answers: Vec<String> = answers.iter().map(|it| (*it).to_owned()).collect();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                told.send(whole(&mut stream)).unwrap();
                let (status, body) = answer.split_once(' ').unwrap();
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close", body.len());
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = waybill(&["dead-letters"]);
        command.args(args).env("ORDER_ADMIN_URL", &self.url).env("USER", "jane");
        command
    }

    /// Request line, actor and body of the next request.
    fn asked(&self) -> String {
        let request = self.asked.recv().unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let actor = head.lines().find_map(|it| it.strip_prefix("x-actor: ")).unwrap_or("nobody");
        format!("{} by {actor} {body}", head.lines().next().unwrap()).trim_end().to_owned()
    }
}

/// A request with its body.
fn whole(stream: &mut impl Read) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |it| it.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

const LETTER: &str = r#"{"dead_letter_id":7,"status":"poison","cause":"impossible","error":"no\u001b[2J stock","attempt":2,
    "key":"o-1","event_id":"018f3b5c-1111-7222-8333-444455556666","type":"waybill.order.placed.v2","topic":"waybill.order",
    "partition":3,"offset":41,"parked_at":"2026-01-02T03:04:05Z","payload_bytes":9"#;

#[test]
fn all_pages_are_listed_as_a_table_or_as_lines_of_json() {
    let first = format!(r#"200 {{"dead_letters":[{LETTER}}}],"next_cursor":7}}"#);
    let second =
        format!(r#"200 {{"dead_letters":[{}}}]}}"#, LETTER.replace("\"o-1\"", r#"{"base64":"/w=="}"#));
    let service = Service::answering(&[&first, &second, &first]);

    let list = ["list", "--service", "order", "--key", "a b", "--type", "order.placed", "--status", "poison"];
    let table = done(&mut service.command(&list));
    let lines: Vec<Vec<&str>> = table.lines().map(|it| it.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["SERVICE", "ID", "KEY", "TYPE", "CAUSE", "STATUS", "ATTEMPT", "AGE", "ERROR"]);
    assert_eq!(lines[1][..7], ["order", "7", "o-1", "waybill.order.placed.v2", "impossible", "poison", "2"]);
    assert!(lines[1][9..] == [r"no\u{1b}[2J", "stock"] && lines[2][2] == "base64:/w==", "{table}");
    let query = "GET /dead-letters?key=a+b&type=order.placed&status=poison&limit=";
    assert_eq!(service.asked(), format!("{query}100 HTTP/1.1 by nobody"));
    assert_eq!(service.asked(), format!("{query}99&cursor=7 HTTP/1.1 by nobody"));

    let json = done(&mut service.command(&["list", "--service", "order", "--limit", "1", "--json"]));
    let line: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&line["service"], &line["dead_letter_id"]), (&"order".into(), &7.into()));
}

#[test]
fn a_service_that_is_away_hides_nothing_of_the_others() {
    let service = Service::answering(&[&format!(r#"200 {{"dead_letters":[{LETTER}}}]}}"#)]);
    let away = format!("http://127.0.0.1:{}", local::free_port().unwrap());
    let mut list = service.command(&["list"]);
    for name in ["INVENTORY", "PAYMENT", "SHIPPING"] {
        list.env(format!("{name}_ADMIN_URL"), &away);
    }
    let said = run(&mut list);
    assert_eq!(said.code, Some(3));
    assert!(said.out.lines().nth(1).unwrap().starts_with("order "), "{}", said.out);
    let named: Vec<&str> = said.err.lines().map(|it| it.split(": ").nth(1).unwrap()).collect();
    assert_eq!(named, ["inventory", "payment", "shipping"]);
}

#[test]
fn a_letter_is_shown_in_full_and_steers_no_terminal() {
    let text = format!(
        r#"200 {LETTER},"headers":[["ce_id","x"],["odd\u0007",{{"base64":"/wA="}}],["none",null]],"payload":"{{\"b\":1,\"a\":\"\u009b\"}}"}}"#
    );
    let binary = format!(r#"200 {LETTER},"headers":[],"payload":{{"base64":"G1sySv8="}}}}"#);
    let service =
        Service::answering(&[&text, &binary, &text, r#"404 {"detail":"there is no such dead letter"}"#]);
    let show = || service.command(&["show", "7", "--service", "order"]);

    let shown = done(&mut show());
    assert!(shown.starts_with("dead letter 7 of order: poison, impossible after 2 attempts, "), "{shown}");
    assert!(shown.contains("\n  error  no\\u{1b}[2J stock\n  key    o-1\n"), "{shown}");
    assert!(shown.contains("\n  from   waybill.order, partition 3, offset 41\n"), "{shown}");
    let rest = shown.split_once("headers\n").unwrap().1;
    let expected = "  ce_id: x\n  odd\\u{7}: base64:/wA=\n  none: no value\npayload, 9 bytes\n  {\n    \"b\": 1,\n    \"a\": \"\\u{9b}\"\n  }\n";
    assert_eq!(rest, expected);
    assert_eq!(service.asked(), "GET /dead-letters/7 HTTP/1.1 by nobody");

    assert!(
        done(&mut show()).ends_with("00000000  1b 5b 32 4a ff                                   |.[2J.|\n")
    );
    assert_eq!(done(show().arg("--json")), format!("{}\n", &text[4..]));
    let unknown = run(&mut show());
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (Some(1), "waybill: order: 404 there is no such dead letter\n")
    );
}

#[test]
fn redriving_goes_on_to_the_end_and_fails_where_poison_is_left() {
    let outcome = |failed: u64, cursor: &str| {
        format!(r#"200 {{"applied":2,"duplicates":1,"skipped":0,"discarded":0,"failed":{failed}{cursor}}}"#)
    };
    let away = r#"503 {"detail":"the database is not available"}"#;
    let (more, end, poison) = (outcome(0, r#","cursor":"Yg""#), outcome(0, ""), outcome(1, ""));
    let service = Service::answering(&[&more, &end, &poison, &more, away]);
    let redrive = |args: &[&str]| service.command(&[&["redrive", "--service", "order"], args].concat());

    let whole = run(&mut redrive(&["--all", "--reason", "mended"]));
    assert_eq!(whole.out, "order      4 applied, 2 had been applied before\n");
    assert_eq!(
        (whole.code, whole.err.as_str()),
        (Some(0), "order: 2 applied, 1 had been applied before so far\n")
    );
    let path = "POST /dead-letters/redrive HTTP/1.1";
    let body = r#""id":null,"key":null,"reason":"mended","type":null}"#;
    assert_eq!(service.asked(), format!(r#"{path} by jane {{"all":true,{body}"#));
    assert_eq!(service.asked(), format!(r#"{path} by jane {{"all":true,"cursor":"Yg",{body}"#));

    let failed = run(&mut redrive(&["7", "--actor", "joe", "--json"]));
    let line = r#"{"applied":2,"discarded":0,"duplicates":1,"failed":1,"service":"order","skipped":0}"#;
    assert_eq!(failed.out.trim_end(), line);
    assert!(failed.code == Some(1) && failed.err.starts_with("waybill: 1 poison still"), "{}", failed.err);
    assert_eq!(
        service.asked(),
        format!(r#"{path} by joe {{"all":null,"id":7,"key":null,"reason":null,"type":null}}"#)
    );

    let cut_short = run(&mut redrive(&["--key", "o-1"]));
    assert_eq!(
        (cut_short.code, cut_short.out.as_str()),
        (Some(1), "order      2 applied, 1 had been applied before\n")
    );
    assert!(
        cut_short.err.ends_with("waybill: order: 503 the database is not available\n"),
        "{}",
        cut_short.err
    );
}

#[test]
fn discarding_says_who_and_why() {
    let outcome = r#"200 {"applied":3,"duplicates":0,"skipped":0,"discarded":1,"failed":0}"#;
    let service = Service::answering(&[outcome]);
    let discard = ["discard", "--service", "order", "--key", "o-1", "--reason", "sent by a test"];
    assert_eq!(done(&mut service.command(&discard)), "order      1 discarded, 3 applied\n");
    let body = r#"{"id":null,"key":"o-1","reason":"sent by a test","type":null}"#;
    assert_eq!(service.asked(), format!("POST /dead-letters/discard HTTP/1.1 by jane {body}"));
}
