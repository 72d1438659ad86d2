//! A short bench, as anybody runs it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::waybill::{Room, Running, run, waybill, within};

/// Five seconds at a rate that a machine keeps up with that has other work.
#[test]
fn a_saga_is_measured_and_its_books_are_in_order() {
    let _room = Room::take();
    let scratch = local::Scratch::new().expect("a directory");
    let (json, html) = (scratch.path().join("report.json"), scratch.path().join("report.html"));
    let args = ["bench", "saga", "--rate", "20", "--warm-up", "1s", "--duration", "5s", "--bound", "1m"];

    let ended = run(waybill(&args).arg("--json").arg(&json).arg("--html").arg(&html));

    let said = format!("{}{}", ended.out, ended.err);
    let report: Value = serde_json::from_slice(&fs::read(json).expect("a report")).expect("JSON");
    assert_eq!((&report["workload"], &report["failures"]), (&"saga".into(), &Value::Array(vec![])), "{said}");
    let figure = |name: &str| {
        let value = report["runs"][0]["figures"][name]["value"].as_f64();
        value.unwrap_or_else(|| panic!("no figure {name}: {report:#}"))
    };
    // How busy the machine is decides whether the rate is sustained, and not whether the books are in order.
    assert_eq!(ended.code, Some(if figure("sustained") == 1.0 { 0 } else { 4 }), "{said}");
    assert_eq!(figure("errors"), 0.0, "{said}");
    let rate = figure("rate accepted");
    assert!((10.0..30.0).contains(&rate), "20 orders a second are asked for: {rate}");
    // Each fact comes after the one before, for most as for the last.
    for quantile in ["p50", "p90", "max"] {
        let after = ["sent", "answered", "ended"].map(|it| figure(&format!("{it} {quantile}")));
        assert!(after.is_sorted() && after[0] > 0.0, "{quantile}: {after:?}");
    }
    assert!(figure("confirmed p50") < figure("delivered p50"), "{said}");
    assert!(figure("out-of-stock p50") > 0.0 && figure("payment-declined p50") > 0.0, "{said}");
    let parts = ["order", "inventory", "payment", "shipping", "psp", "postgres", "kafka", "load"];
    let cpu: f64 = parts.iter().map(|it| figure(&format!("cpu {it}"))).sum();
    assert!((cpu - figure("cpu total")).abs() < 0.001 && figure("cpu postgres") > 0.0, "{said}");
    let rest = cpu - figure("cpu load") - figure("cpu psp");
    assert!((rest - figure("cpu without load and psp")).abs() < 0.001, "{said}");
    let provenance = |name: &str| report["provenance"][name].as_str().unwrap_or_default().to_owned();
    for (name, expected) in [("kafka", "4."), ("postgres", "18."), ("date", "20"), ("kernel", "")] {
        let told = provenance(name);
        assert!(told.starts_with(expected) && !told.is_empty() && told != "unknown", "{name}: {told}");
    }
    // Tests are debug builds, and their figures are worth nothing.
    assert!(said.contains("WARNING") == cfg!(debug_assertions), "{said}");
    assert!(parts.iter().all(|it| figure(&format!("memory {it}")) > 1.0), "{said}");
    // Of the orders that are done in time: on a machine that is busy few of them are.
    assert!(figure("messages") >= 5.0 && figure("WAL") > 5_000.0, "{said}");
    let page = fs::read_to_string(html).expect("a page");
    assert!(page.matches("<svg").count() == 3 && page.contains("out-of-stock"), "a page without pictures");
}

/// Nobody confirms an order in a millisecond.
#[test]
fn a_rate_that_is_not_sustained_is_told_and_ends_with_4() {
    let _room = Room::take();
    let args = ["bench", "saga", "--rate", "5", "--warm-up", "1s", "--duration", "2s", "--bound", "1ms"];
    let said = run(&mut waybill(&args));
    assert_eq!(said.code, Some(4), "{}{}", said.out, said.err);
    assert!(said.out.contains("NOT SUSTAINED") && said.out.contains("confirmed p99 is"), "{}", said.out);
    assert!(said.err.contains("NOT SUSTAINED"), "{}", said.err);
}

#[test]
fn a_suite_without_orders_is_measured() {
    let _room = Room::take();
    let ended = run(&mut waybill(&["bench", "idle", "--duration", "3s", "--warm-up", "1s", "--json"]));
    let said = format!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(0), "{said}");
    let report: Value =
        serde_json::from_str(&ended.out).unwrap_or_else(|it| panic!("nothing but JSON: {it}: {said}"));
    let runs = report["runs"].as_array().expect("runs");
    for name in ["order", "inventory", "payment", "shipping"] {
        let run = runs.iter().find(|it| it["name"] == *name).unwrap_or_else(|| panic!("no {name}: {said}"));
        for figure in ["voluntary context switches", "statements", "transactions", "memory"] {
            assert!(run["figures"][figure]["value"].as_f64() > Some(0.0), "{name}, {figure}: {said}");
        }
    }
    assert_eq!(runs.last().expect("a total")["name"], "total", "{said}");
}

/// The copies are there, the books are in order with them, and an order goes its way beside them; by two processes of
/// each service.
#[test]
fn a_suite_is_measured_beside_orders_of_the_past() {
    let _room = Room::take();
    let scratch = local::Scratch::new().expect("a directory");
    let json = scratch.path().join("report.json");
    let args = ["bench", "growth", "--rate", "20", "--orders", "1000,2000", "--with", "processes=2"];
    let ended = run(waybill(&args)
        .args(["--warm-up", "1s", "--duration", "3s", "--bound", "1m"])
        .arg("--json")
        .arg(&json));

    let said = format!("{}{}", ended.out, ended.err);
    let report: Value = serde_json::from_slice(&fs::read(json).expect("a report")).expect("JSON");
    assert_eq!(report["failures"], Value::Array(vec![]), "{said}");
    let names: Vec<_> = report["runs"].as_array().expect("runs").iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["1000 orders", "2000 orders", "last / first"], "{said}");
    let grown = report["runs"][2]["figures"]["table order order_event"]["value"].as_f64();
    assert!(grown > Some(1.4), "twice as many orders: {said}");
}

/// A bench with its report; how busy the machine is decides whether a rate is sustained, but not about the books.
fn report(args: &str) -> (Value, String) {
    let mut bench = waybill(&["bench"]);
    // What services are told is the bench's affair alone: with this from their caller they would not start.
    bench.args(args.split(' ')).args(["--bound", "1m", "--json"]).env("WORKERS", "none");
    let ended = run(&mut bench);
    let said = format!("{}{}", ended.out, ended.err);
    assert!(matches!(ended.code, Some(0 | 4)), "{args}: {said}");
    let report: Value = serde_json::from_str(&ended.out)
        .unwrap_or_else(|it| panic!("{args}: nothing but JSON: {it}: {said}"));
    assert_eq!(report["failures"], Value::Array(vec![]), "{args}: {said}");
    (report, said)
}

fn names<'r>(report: &'r Value, of: &str) -> Vec<&'r str> {
    report[of].as_array().expect(of).iter().map(|it| it["name"].as_str().expect("a name")).collect()
}

/// The figure of each run.
fn figures(report: &Value, name: &str) -> Vec<f64> {
    let value = |run: &Value| run["figures"][name]["value"].as_f64();
    let runs = report["runs"].as_array().expect("runs").iter();
    runs.map(|it| value(it).unwrap_or_else(|| panic!("no figure {name}: {it:#}"))).collect()
}

/// Each setting has a suite of its own, in which half of all orders are of one product.
#[test]
fn settings_are_compared_in_turns() {
    let _room = Room::take();
    // One message a transaction takes seconds for an order, in a debug build on a machine with other work.
    let (report, said) =
        report("hot --rate 3 --warm-up 500ms --duration 10s --compare usual,batch=1 --rounds 1");
    assert_eq!(names(&report, "runs"), ["usual", "batch=1"], "{said}");
    assert!(figures(&report, "rate done").iter().all(|it| *it > 0.0), "{said}");
    let wal = figures(&report, "WAL");
    let ratios = report["ratios"].as_array().expect("ratios");
    let ratio = ratios.iter().find(|it| it["figure"] == "WAL").expect("a ratio");
    assert_eq!((&ratio["of"], &ratio["to"]), (&"batch=1".into(), &"usual".into()), "{said}");
    assert_eq!(report["asked"]["with"], "usual, batch=1", "{said}");
    assert!(said.contains("1 round of 2 settings"), "who is later finds a warmer broker: {said}");
    let told = ratio["median"].as_f64().expect("a median");
    assert!((told - wal[1] / wal[0]).abs() < 0.01, "{told} is not {wal:?}");
}

/// Each phase has its figures, and whoever was away has caught up.
#[test]
fn a_burst_and_an_absence_are_measured() {
    let _room = Room::take();
    let (report, said) =
        report("burst --rate 10 --times 2 --arrivals constant --warm-up 1s --calm 3s --burst 3s --away 5s");
    assert_eq!(names(&report, "runs"), ["calm", "burst", "after it", "consumer away", "back"], "{said}");
    // Of those that were due: a machine with other work accepts the last ones later.
    let accepted = figures(&report, "orders accepted");
    assert_eq!(accepted[..2], [30.0, 60.0], "three seconds of 10/s, and of twice that");
    let waiting = figures(&report, "most under way");
    assert!(waiting[3] >= 40.0, "nobody reserves stock for five seconds: {waiting:?}");
    // To start takes longer than a look; but what a busy machine is slow at in the calm is nothing to be compared to.
    let calm = figures(&report, "under way")[0];
    if report["overloads"] == Value::Array(vec![]) && waiting[3] > 2.5 * calm + 10.0 {
        let took = report["runs"][4]["figures"]["caught up after"]["value"].as_f64();
        assert!(took > Some(0.3), "{took:?}: {said}");
    }
}

#[test]
fn what_cannot_be_measured_is_told_at_once() {
    for (args, told) in [
        (&["bench"][..], "saga"),
        (&["bench", "saga", "--rate", "0"], "expected 0.1 to 100000"),
        (&["bench", "saga", "--duration", "5d"], "expected 10s, 500ms, 2m or 1h"),
        (&["bench", "saga", "--compare", "batch=1,lot=2"], "no setting `lot`"),
        (&["bench", "saga", "--compare", "batch=0"], "expected 1 to 10000 for batch"),
        (&["bench", "saga", "--compare", "usual,batch=1", "--with", "workers=2"], "cannot be used with"),
        (&["bench", "--compare", "usual"], "needs two settings"),
        (&["bench", "saga", "--rate", "-5"], "expected 0.1 to 100000"),
        (&["bench", "saga", "--with", "batch=1+batch=2"], "BATCH_SIZE is set twice"),
        (&["bench", "saga", "--with", "OUTBOX_LIMITS=7"], "no setting `OUTBOX_LIMITS`"),
        (&["bench", "saga", "--html", "-"], "--html cannot go to standard output"),
        (&["bench", "saga", "--rounds", "2", "--with", "batch=2"], "--compare"),
        (&["bench", "saga", "--trial", "5s"], "--find-capacity"),
        (&["bench", "relay", "--rates", "0"], "0 is not in"),
        (&["bench", "relay", "--compare", "ours"], "needs two relays"),
        (&["bench", "growth", "--orders", "0"], "0 is not in"),
        (&["bench", "growth", "--orders", "100,10"], "are to rise"),
        (&["bench", "relay", "--compare", "--rows", "0"], "compared by how they empty outboxes"),
    ] {
        let said = run(&mut waybill(args));
        assert_eq!(said.code, Some(2), "{args:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(told), "{args:?}: {}", said.err);
    }
}

/// Whatever a service reads can be measured, or is the bench's own to give.
#[test]
fn every_variable_of_the_services_is_known() {
    for service in ["order", "inventory", "payment", "shipping"] {
        let program = Path::new(env!("CARGO_BIN_EXE_waybill")).with_file_name(format!("waybill-{service}"));
        let help = run(Command::new(program).arg("--help")).out;
        let variables: Vec<&str> =
            help.split("[env: ").skip(1).filter_map(|it| it.split(['=', ']']).next()).collect();
        assert!(variables.contains(&"BATCH_SIZE"), "{help}");
        for variable in variables {
            // It is refused for what comes after the setting, if not for that.
            let said =
                run(&mut waybill(&["bench", "saga", "--with", &format!("{variable}=1"), "--html", "-"]));
            assert!(said.code == Some(2) && !said.err.contains("no setting"), "{service}: {}", said.err);
        }
    }
}

/// Its orders would be waited for as long as any may take, and nobody would know why.
#[test]
fn what_ends_by_itself_ends_the_bench_which_says_so() {
    let _room = Room::take();
    let saga = &["bench", "saga", "--rate", "5", "--warm-up", "1s", "--duration", "10m"][..];
    for (args, until, program, told) in [
        (saga, "5/s for 600.0s", "waybill-shippin", "shipping-1"),
        (saga, "5/s for 600.0s", "java", "kafka"),
        (&["bench", "idle", "--warm-up", "10m"], "the suite runs", "waybill-psp", "psp-1"),
    ] {
        let mut bench = Running::begin(args, until);
        kill(bench.child(program), Signal::SIGKILL).expect("a signal");
        let (code, said) = bench.end();
        let told = format!("{told} has ended by itself (signal: 9 (SIGKILL))");
        assert!(code == Some(1) && said.contains(&told), "{code:?}: {said}");
    }
}

impl Running {
    /// Starts it, and waits until it says so.
    fn begin(args: &[&str], until: &str) -> Self {
        let mut command = waybill(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut bench = Self(child.expect("the binary runs"));
        let mut lines = BufReader::new(bench.0.stdout.take().expect("its output")).lines();
        let told = lines.any(|it| it.expect("a line").contains(until));
        assert!(told, "it ends without saying: {until}");
        bench
    }

    /// Its child that runs this program, by the 15 bytes that the kernel keeps of a name.
    fn child(&self, program: &str) -> Pid {
        let ours = format!("({program}) ");
        let stats = fs::read_dir("/proc").expect("/proc").flatten();
        let stats = stats.filter_map(|it| fs::read_to_string(it.path().join("stat")).ok());
        // Pid, name, state, parent: proc_pid_stat(5).
        let mut pids = stats.filter_map(|it| {
            let (pid, rest) = it.split_once(&ours)?;
            let parent: u32 = rest.split(' ').nth(1)?.parse().ok()?;
            (parent == self.0.id()).then(|| pid.trim().parse().expect("a pid"))
        });
        Pid::from_raw(pids.next().unwrap_or_else(|| panic!("no child runs {program}")))
    }

    /// Waits until it has ended, as long as it may take to clear away: its exit code, and what it said of errors.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = within(Duration::from_secs(60), "it ends", || self.0.try_wait().expect("a status"));
        let mut said = String::new();
        self.0.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        (status.code(), said)
    }
}
