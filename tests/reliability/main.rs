//! What a child, a user or a machine can do to a session: one row a fault, one test a row, each with a real engine and
//! a real child.
//!
//! [`TABLE`] names each fault and the tests that show what comes of it, wherever they stand. After each of them the same
//! is looked at (`common/aftermath.rs`; `Session::wait` and `Supervised::wait` see to it): nobody of the session lives,
//! no child is a zombie, no temporary file is left, every line of the journal is an event without a gap between them,
//! and what is read back is the fold of them. Where the engine outlives the fault, it also has no more descriptors open
//! than before, has no zombie for a child, and runs the next command (`Supervised::must_hold`).

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

mod clients;
mod clock;
#[path = "../common/disk.rs"]
mod disk;
mod exits;
mod misbehaves;
#[path = "../common/session.rs"]
mod session;
mod stuck;
#[path = "../common/supervised.rs"]
mod supervised;
#[path = "../common/window.rs"]
mod window;

use session::{child_file, job, quoted};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use supervised::Supervised;

/// Each fault, and the tests of it: a file below `tests` (or of the crate, where its own clock is needed) and names.
const TABLE: &[(&str, &[(&str, &str)])] = &[
    (
        "exits 0, 3, by os._exit, SIGSEGV, SIGKILL, SIGABRT",
        &[
            ("reliability/exits.rs", "a_child_that_ends_in_a_command_loses_that_command_and_no_more"),
            ("reliability/exits.rs", "a_child_that_ends_while_idle_is_noticed_and_costs_no_command"),
            ("reliability/exits.rs", "an_item_whose_child_died_says_how_and_nothing_else_is_told_of_it"),
            ("child.rs", "every_way_to_end_is_told_apart"),
            ("faults.rs", "an_interpreter_that_ends_at_once_is_told_with_its_last_words"),
        ],
    ),
    (
        "out of memory: by a limit, in a cgroup",
        &[
            ("reliability/exits.rs", "a_limit_on_memory_raises_and_the_child_lives"),
            ("reliability/exits.rs", "a_child_that_the_kernel_kills_for_its_memory_is_told_of"),
        ],
    ),
    ("never says hello", &[("hostile.rs", "a_child_that_never_says_hello_is_given_up_with_its_last_words")]),
    (
        "says hello and then nothing",
        &[
            ("reliability/stuck.rs", "a_child_that_said_hello_and_then_nothing_is_ended_and_replaced"),
            ("reliability/stuck.rs", "silence_is_noticed_though_the_heart_beats"),
        ],
    ),
    (
        "closes the socket and lives",
        &[
            ("reliability/misbehaves.rs", "a_child_that_closes_the_channel_and_lives_is_replaced"),
            ("faults.rs", "a_child_that_closes_its_socket_and_lives_is_ended"),
            ("hostile.rs", "a_lie_on_the_channel_ends_it_and_the_child_and_the_item"),
        ],
    ),
    (
        "grandchildren that keep the pipes, leave the group, lose their parent or their environment",
        &[
            ("reliability/exits.rs", "who_a_dead_child_leaves_behind_ends_with_it"),
            ("faults.rs", "grandchildren_that_hold_the_pipes_do_not_hold_up_the_end"),
            ("hostile.rs", "an_heir_that_holds_pipes_and_channel_does_not_hide_the_end"),
            ("engine.rs", "stopping_now_interrupts_what_runs_and_leaves_nobody_behind"),
            ("child.rs", "a_killed_engine_leaves_nothing_behind"),
        ],
    ),
    (
        "ignores SIGTERM, swallows KeyboardInterrupt, is stopped; each is known for it",
        &[
            ("reliability/stuck.rs", "what_no_interrupt_ends_is_known_for_what_it_does"),
            ("reliability/stuck.rs", "what_no_interrupt_ends_costs_its_item_and_its_child_and_the_agenda_goes_on"),
            ("faults.rs", "a_command_that_swallows_the_interrupt_is_terminated_and_what_ignores_that_is_killed"),
        ],
    ),
    (
        "holds the GIL, and is known for it",
        &[
            ("reliability/stuck.rs", "what_no_interrupt_ends_is_known_for_what_it_does"),
            ("reliability/stuck.rs", "a_child_that_holds_the_gil_keeps_nobody_but_itself_waiting"),
            ("reliability/stuck.rs", "what_no_interrupt_ends_costs_its_item_and_its_child_and_the_agenda_goes_on"),
        ],
    ),
    (
        "dead-locks two threads; waits for a lock, the network, a subprocess, a terminal, a pipe; loops; sleeps: each is known for it",
        &[("reliability/stuck.rs", "what_python_waits_in_is_interrupted_and_the_child_lives")],
    ),
    (
        "raises in __repr__, in a thread, at the exit",
        &[("reliability/misbehaves.rs", "exceptions_in_a_repr_in_a_thread_and_at_the_exit_are_told_and_cost_nothing")],
    ),
    (
        "recursion error, an exception of 50 MiB, groups and chains",
        &[
            ("reliability/misbehaves.rs", "exceptions_without_measure_are_cut_and_told"),
            ("faults.rs", "a_value_and_an_exception_of_a_hundred_mebibytes_are_cut_and_told"),
        ],
    ),
    (
        "replaces sys.stdout, closes descriptors 0 to 2",
        &[
            ("reliability/misbehaves.rs", "streams_that_are_replaced_or_closed_are_the_commands_own_loss"),
            ("reliability/misbehaves.rs", "a_child_without_descriptors_works_on_and_ends_like_any_other"),
        ],
    ),
    (
        "forges frames on the output and on the socket",
        &[
            ("reliability/misbehaves.rs", "frames_forged_on_a_stream_are_output"),
            ("reliability/misbehaves.rs", "frames_forged_on_the_channel_cost_the_child_and_no_copy_of_it_can_speak"),
            ("hostile.rs", "a_lie_on_the_channel_ends_it_and_the_child_and_the_item"),
        ],
    ),
    (
        "another local process connects",
        &[
            ("reliability/clients.rs", "strangers_at_the_back_channel_are_turned_away_and_forgotten"),
            ("hostile.rs", "strangers_before_the_proof_are_refused_and_recorded"),
            ("hostile.rs", "strangers_who_keep_coming_do_not_keep_the_child_out"),
        ],
    ),
    ("reads stdin", &[("reliability/misbehaves.rs", "nobody_waits_for_a_standard_input_that_says_nothing")]),
    (
        "sys.exit, os.chdir, os.fork in a command",
        &[("reliability/misbehaves.rs", "leaving_moving_and_forking_in_a_command_are_the_commands_own")],
    ),
    (
        "the wall clock jumps",
        &[
            ("reliability/clock.rs", "no_time_out_passes_and_no_length_is_wrong_when_the_wall_clock_jumps"),
            ("reliability/clock.rs", "a_failed_item_is_tried_again_in_time_though_the_wall_clock_is_set_back"),
            ("reliability/clock.rs", "an_items_time_out_passes_in_time_though_the_wall_clock_jumped_while_it_was_held"),
            (
                "../src/store/page_tests.rs",
                "after_the_clock_was_set_back_lines_are_found_by_time_in_the_order_of_reading",
            ),
        ],
    ),
    (
        "the engine is killed at 200 points",
        &[(
            "resume.rs",
            "an_engine_killed_at_two_hundred_points_is_gone_on_with_and_repeats_nothing_that_was_recorded",
        )],
    ),
    (
        "the window is killed",
        &[
            ("reliability/clients.rs", "a_window_that_is_killed_takes_nothing_with_it"),
            ("../src/tui/tests/real.rs", "signals_give_the_terminal_back"),
        ],
    ),
    (
        "the terminal is closed",
        &[
            ("reliability/clients.rs", "a_window_whose_terminal_is_closed_ends_and_takes_nothing_with_it"),
            ("cli.rs", "a_session_goes_on_when_its_window_is_killed_and_its_terminal_is_gone"),
        ],
    ),
    (
        "a full disk",
        &[
            ("reliability/clients.rs", "an_engine_on_a_full_disk_keeps_its_child_and_works_on_when_there_is_room"),
            ("faults.rs", "a_full_disk_loses_output_and_holds_back_work_until_there_is_room"),
            ("store.rs", "a_full_disk_loses_output_visibly_and_keeps_the_journal_whole"),
        ],
    ),
    (
        "the socket's folder is removed",
        &[
            ("reliability/clients.rs", "a_socket_whose_folder_is_removed_is_found_elsewhere_and_the_next_child_starts"),
            ("api.rs", "a_socket_that_vanishes_is_made_again_out_of_a_log_outs_reach"),
        ],
    ),
    (
        "500 clients come and go",
        &[
            ("reliability/clients.rs", "five_hundred_who_come_and_go_leave_nothing_in_the_engine"),
            ("api.rs", "rapid_coming_and_going_leaks_nothing"),
        ],
    ),
];

#[test]
fn every_row_of_the_table_has_its_tests() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for (fault, named) in TABLE {
        assert!(!named.is_empty(), "{fault}");
        for (file, name) in *named {
            let text = std::fs::read_to_string(tests.join(file)).expect("a file");
            let (before, _) = text.split_once(&format!("fn {name}(")).unwrap_or_else(|| panic!("{fault}: {name}"));
            let mut above = before.rsplit('\n').skip(1).take_while(|line| line.starts_with("#["));
            assert!(above.any(|line| line.contains("test]")), "{fault}: {name} is no test");
        }
    }
}

/// A session with nothing to do, whose child can import what `tests/children` has to misbehave with, and is started
/// again whenever it dies.
fn idle(rest: &str) -> Supervised {
    let engine =
        Supervised::of(job(&format!("hold = true\nrestarts = 1000\n[agenda]\n{rest}\n{PHASES}{}", children())));
    engine.until_agenda();
    engine
}

const PHASES: &str = "[env]\nPYTHONDONTWRITEBYTECODE = '1'\n[phases]\n";

/// The init commands with which a child finds `faults` and `stuck`.
fn children() -> String {
    let folder = quoted(child_file(""));
    format!("init = ['import sys; sys.path.insert(0, {folder}); import faults, os, stuck, time']\n")
}

/// Something that a child waits for and that the test tells it.
struct Fifo(PathBuf);

impl Fifo {
    fn new(engine: &Supervised) -> Self {
        let path = engine.place().home().join("work/told");
        let _ = std::fs::remove_file(&path);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        Self(path)
    }

    /// As Python writes it.
    fn path(&self) -> String {
        quoted(&self.0)
    }

    /// Waits for the child, and tells it.
    fn tell(&self) {
        let mut opened = std::fs::File::options();
        // Fails as long as nobody reads there.
        let opened = opened.write(true).custom_flags(libc::O_NONBLOCK);
        window::until("a child that waits to be told", || opened.open(&self.0).is_ok());
    }
}
