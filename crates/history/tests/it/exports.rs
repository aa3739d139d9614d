//! Golden exports of one history with everything in it.

use atoll_history::{Call, Expected, Level, Outcome, export};

use crate::script::{ABSENT, Op, cas, conflict, get, history, op, put, saw, written};

fn operations() -> Vec<Op> {
    let by_value = Call::Cas {
        expected: Expected {
            version: 12,
            value: Some("c".to_owned()),
        },
        value: None,
    };
    let elements = Outcome::Elements(vec!["x".to_owned(), "y".to_owned()]);
    vec![
        op(1, 2, put("a \"b\"\n"), written(10)).by(0),
        op(3, 5, put("lost"), Outcome::Unknown).by(1),
        op(4, 6, cas(10, "b"), written(11)).by(0),
        op(7, 8, cas(9, "z"), conflict(11)).by(0),
        op(9, 10, cas(99, "y"), Outcome::Failed).by(1),
        op(11, 12, by_value, Outcome::Unknown).by(1),
        op(13, 14, Call::Delete, written(13)).by(0),
        op(15, 16, Call::GET, ABSENT).by(1),
        op(17, 18, get(Level::Eventual), saw(11, "b")).by(0),
        op(
            19,
            20,
            Call::CounterAdd { amount: -5 },
            Outcome::Written { version: None },
        )
        .by(0),
        op(
            21,
            22,
            Call::CounterRead {
                level: Level::Session,
            },
            Outcome::Counted(-5),
        )
        .by(0),
        op(
            23,
            24,
            Call::SetRead {
                level: Level::Linearizable,
            },
            elements,
        )
        .by(0),
        op(25, 26, get(Level::Bounded { max_age_ns: 7 }), Outcome::Unknown).by(0),
    ]
}

const EDN: &str = r#"{:index 1, :time 10, :process 0, :type :invoke, :f :write, :value ["k" "a \"b\"\n"]}
{:index 2, :time 20, :process 0, :type :ok, :f :write, :value ["k" "a \"b\"\n"], :version 10}
{:index 3, :time 30, :process 1, :type :invoke, :f :write, :value ["k" "lost"]}
{:index 4, :time 40, :process 0, :type :invoke, :f :cas, :value ["k" ["a \"b\"\n" "b"]], :expected 10}
{:index 5, :time 50, :process 1, :type :info, :f :write, :value ["k" "lost"]}
{:index 6, :time 60, :process 0, :type :ok, :f :cas, :value ["k" ["a \"b\"\n" "b"]], :version 11, :expected 10}
{:index 7, :time 70, :process 0, :type :invoke, :f :write, :value ["k" "z"], :expected 9}
{:index 8, :time 80, :process 0, :type :fail, :f :write, :value ["k" "z"], :version 11, :expected 9}
{:index 9, :time 90, :process 3, :type :invoke, :f :write, :value ["k" "y"], :expected 99}
{:index 10, :time 100, :process 3, :type :fail, :f :write, :value ["k" "y"], :expected 99}
{:index 11, :time 110, :process 3, :type :invoke, :f :cas, :value ["k" ["c" nil]], :expected 12}
{:index 12, :time 120, :process 3, :type :info, :f :cas, :value ["k" ["c" nil]], :expected 12}
{:index 13, :time 130, :process 0, :type :invoke, :f :write, :value ["k" nil]}
{:index 14, :time 140, :process 0, :type :ok, :f :write, :value ["k" nil], :version 13}
{:index 15, :time 150, :process 5, :type :invoke, :f :read, :value ["k" nil]}
{:index 16, :time 160, :process 5, :type :ok, :f :read, :value ["k" nil]}
{:index 17, :time 170, :process 0, :type :invoke, :f :read-eventual, :value ["k" nil]}
{:index 18, :time 180, :process 0, :type :ok, :f :read-eventual, :value ["k" "b"], :version 11}
{:index 19, :time 190, :process 0, :type :invoke, :f :add, :value ["k" -5]}
{:index 20, :time 200, :process 0, :type :ok, :f :add, :value ["k" -5]}
{:index 21, :time 210, :process 0, :type :invoke, :f :read-session, :value ["k" nil]}
{:index 22, :time 220, :process 0, :type :ok, :f :read-session, :value ["k" -5]}
{:index 23, :time 230, :process 0, :type :invoke, :f :read, :value ["k" nil]}
{:index 24, :time 240, :process 0, :type :ok, :f :read, :value ["k" ["x" "y"]]}
{:index 25, :time 250, :process 0, :type :invoke, :f :read-bounded, :value ["k" nil]}
{:index 26, :time 260, :process 0, :type :info, :f :read-bounded, :value ["k" nil]}
"#;

const PLAIN: &str = r#"call 0 0 put "k" "a \"b\"\n"
return 0 0 ok 10
call 1 1 put "k" "lost"
call 2 0 cas "k" 10 - "b"
return 2 0 ok 11
call 3 0 cas "k" 9 - "z"
return 3 0 conflict 11
call 5 1 cas "k" 12 "c" -
call 6 0 delete "k"
return 6 0 ok 13
call 7 1 get "k" linearizable
return 7 1 absent
call 8 0 get "k" eventual
return 8 0 found "b" 11
call 9 0 counter_add "k" -5
return 9 0 ok
call 10 0 counter_read "k" session
return 10 0 found -5
call 11 0 set_read "k" linearizable
return 11 0 elements "x" "y"
return 1 1 unknown
return 5 1 unknown
"#;

fn exported(export: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    export(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn edn_is_what_jepsen_reads() {
    let history = history(&operations());
    let text = exported(|bytes| export::edn(&history, bytes).unwrap());
    assert_eq!(text, EDN, "{text}");
}

#[test]
fn plain_is_calls_and_returns() {
    let history = history(&operations());
    let text = exported(|bytes| export::plain(&history, bytes).unwrap());
    assert_eq!(text, PLAIN, "{text}");
}
