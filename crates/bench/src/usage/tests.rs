use std::{
    hint::black_box,
    process::{Command, Stdio},
};

use super::*;

fn burn(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        black_box((0..1_000).sum::<u64>());
    }
}

#[test]
fn what_we_burn_is_ours_and_the_machines() {
    let components = Components::default().ourselves("load");
    let before = components.usage().expect("usage");
    burn(Duration::from_millis(500));
    let spent = components.usage().expect("usage").since(&before);
    // On a busy machine we get less than the time that has passed; the kernel counts what we got.
    assert!(spent.cpu["load"] >= Duration::from_millis(50), "{spent:?}");
    assert!(spent.machine + 4 * TICK >= spent.cpu["load"], "{spent:?}");
}

#[test]
fn children_that_have_ended_count_for_their_tree_alone() {
    let script = "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done) ; read end";
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null());
    let before = Components::default().ourselves("load").usage().expect("usage");
    let mut child = shell.spawn().expect("a shell");
    let components = Components::default().ourselves("load").tree("shell", child.id());
    let begun = Instant::now();
    let spent = loop {
        let spent = components.usage().expect("usage").since(&before);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()));
        let is_reaped = children.is_ok_and(|it| it.is_empty()) && spent.cpu["shell"] > 2 * TICK;
        if is_reaped || begun.elapsed() > Duration::from_secs(20) {
            break spent;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    drop(child.stdin.take());
    child.wait().expect("its end");
    assert!(spent.cpu["shell"] > 2 * TICK, "{spent:?}");
}

#[test]
fn memory_is_of_the_size_of_what_is_held() {
    let components = Components::default().ourselves("load");
    let before = components.memory().expect("memory")["load"];
    let held = vec![1_u8; 64 << 20];
    let after = components.memory().expect("memory")["load"];
    assert!(after >= before + (60 << 20), "{before} {after} {}", black_box(held).len());
}

/// As a consumer that is stopped and started again under a load.
#[test]
fn what_one_had_spent_that_has_ended_stays_with_its_component() {
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a shell")
    };
    let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read end";
    let mut first = shell(busy);
    let components = Components::default().tree("service", first.id());
    let before = components.usage().expect("usage");
    let begun = Instant::now();
    let mut spent = Duration::ZERO;
    while spent < 5 * TICK && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
        spent = components.usage().expect("usage").since(&before).cpu["service"];
    }
    first.kill().expect("killed");
    first.wait().expect("its end");
    let mut second = shell("read end");
    components.add("service", second.id(), true);

    let after = components.usage().expect("usage").since(&before);

    drop(second.stdin.take());
    second.wait().expect("its end");
    assert!(after.cpu["service"] >= spent && spent >= 5 * TICK, "{after:?}, not {spent:?}");
}

#[test]
fn a_total_may_be_without_those_who_only_measure() {
    let cpu = [("load", 5), ("order", 2), ("psp", 1)].map(|it| (it.0.to_owned(), Duration::from_secs(it.1)));
    let spent = Spent { took: Duration::from_secs(10), cpu: cpu.into(), machine: Duration::from_secs(9) };
    let seconds = [spent.total(), spent.without(&["load", "psp"]), spent.elsewhere()].map(|it| it.as_secs());
    assert_eq!(seconds, [8, 2, 1]);
}
