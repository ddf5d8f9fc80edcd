use std::net::SocketAddr;
use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::CertificateDer;
use tower::ServiceExt as _;

use super::*;
use crate::logging::spec::Spec;
use crate::operations::facts::{Life, Watched};
use crate::operations::health::Health;
use crate::operations::{Exposition, Loggers};

/// Keeps a spec and nothing else.
struct Spoken(Mutex<Spec>);

impl Loggers for Spoken {
    fn spec(&self) -> String {
        self.0.lock().to_string()
    }

    fn set_spec(&self, spec: &str) -> Result<(), String> {
        *self.0.lock() = Spec::parse(spec).map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// The routes of a node that starts, in a folder where nothing is.
struct World {
    router: Router,
}

struct Answer {
    status: u16,
    content_type: String,
    body: String,
}

impl World {
    fn new(is_tls: bool, exposition: Option<Exposition>) -> Self {
        let config = crate::config::Config::parse(
            std::path::Path::new("/nowhere/orderer.yaml"),
            "FileLedger: {Location: data}\n",
            &std::collections::BTreeMap::new(),
        );
        let shared = Shared {
            is_tls,
            health: Health::watch_runtime(),
            life: RwLock::new(Life::Starting),
            watched: Watched::of(&config.unwrap()),
            loggers: Arc::new(Spoken(Mutex::new(Spec::parse("").unwrap()))),
            exposition: OnceLock::new(),
        };
        if let Some(exposition) = exposition {
            assert!(shared.exposition.set(exposition).is_ok());
        }
        Self {
            router: router(Arc::new(shared)),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &str, certificates: &[&'static [u8]]) -> Answer {
        let peer = Peer {
            remote_addr: SocketAddr::from(([127, 0, 0, 1], 1)),
            certificates: certificates
                .iter()
                .map(|der| CertificateDer::from(*der))
                .collect(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .extension(peer)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let reply = self.router.clone().oneshot(request).await.unwrap();
        let content_type = reply.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            content_type,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn plain(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let answer = self.ask(method, path, body, &[]).await;
        (answer.status, answer.body)
    }
}

fn answer(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[tokio::test]
async fn a_node_that_starts_is_alive_and_not_ready() {
    let world = World::new(false, None);
    let alive = world.ask("GET", "/healthz", "", &[]).await;
    assert_eq!(alive.status, 200);
    assert_eq!(alive.content_type, "application/json");
    assert!(
        alive.body.starts_with(r#"{"status":"OK","time":"20"#) && alive.body.ends_with(r#"Z"}"#),
        "{}",
        alive.body
    );
    let (status, body) = world.plain("GET", "/readyz", "").await;
    assert_eq!(status, 503);
    assert!(body.starts_with(r#"{"status":"starting","time":"#), "{body}");
    assert!(
        body.contains(r#"{"code":"starting","blocking":true,"count":1}"#),
        "{body}"
    );
    assert!(!body.contains("nowhere"), "{body}");
    let (status, body) = world.plain("GET", "/readyz?verbose", "").await;
    assert_eq!(status, 503);
    assert!(body.contains("/nowhere/msp/signcerts"), "{body}");
}

#[tokio::test]
async fn other_methods_are_refused_as_in_the_reference() {
    let world = World::new(false, None);
    for (method, path, expected) in [
        ("POST", "/healthz", answer(405, "")),
        ("POST", "/readyz", answer(405, "")),
        (
            "POST",
            "/version",
            answer(400, r#"{"Error":"invalid request method: POST"}"#),
        ),
        (
            "DELETE",
            "/logspec",
            answer(400, "{\"error\":\"invalid request method: DELETE\"}\n"),
        ),
        ("GET", "/elsewhere", answer(404, "404 page not found\n")),
    ] {
        assert_eq!(world.plain(method, path, "").await, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn the_version_has_the_shape_of_the_reference() {
    use crate::operations::version::{COMMIT, VERSION};
    let expected = format!(r#"{{"CommitSHA":"{COMMIT}","Version":"{VERSION}"}}"#);
    let world = World::new(true, None);
    assert_eq!(world.plain("GET", "/version", "").await, (200, expected));
}

#[tokio::test]
async fn a_logging_spec_is_set_and_read_back_in_its_normal_form() {
    let world = World::new(false, None);
    let spec = |text: &str| answer(200, &format!("{{\"spec\":\"{text}\"}}\n"));
    assert_eq!(world.plain("GET", "/logspec", "").await, spec("info"));
    for (body, shown) in [
        (
            r#"{"spec":"info:orderer.common.cluster=warn"}"#,
            "orderer.common.cluster=warn:info",
        ),
        (r#"{"SPEC":"debug","more":1}"#, "debug"),
        (r#"{"spec":""}"#, "info"),
        (r#"{"spec":"debug"}"#, "debug"),
        ("{}", "info"),
    ] {
        assert_eq!(
            world.plain("PUT", "/logspec", body).await,
            answer(204, ""),
            "{body}"
        );
        assert_eq!(world.plain("GET", "/logspec", "").await, spec(shown), "{body}");
    }
}

#[tokio::test]
async fn a_bad_logging_spec_is_refused_and_the_old_one_stays() {
    let world = World::new(false, None);
    world.plain("PUT", "/logspec", r#"{"spec":"warn"}"#).await;
    for (body, reason) in [
        (
            r#"{"spec":"a=b=c:::"}"#,
            "invalid logging specification 'a=b=c:::': bad segment 'a=b=c'",
        ),
        ("", "EOF"),
        ("[]", "expected an object"),
        (r#"{"spec":5}"#, "spec is 5, but a text is expected"),
        ("{", "EOF"),
    ] {
        let (status, told) = world.plain("PUT", "/logspec", body).await;
        assert_eq!(status, 400, "{body}");
        assert!(
            told.starts_with("{\"error\":\"") && told.contains(reason),
            "{told}"
        );
    }
    let (_, spec) = world.plain("GET", "/logspec", "").await;
    assert_eq!(spec, "{\"spec\":\"warn\"}\n");
}

#[tokio::test(start_paused = true)]
async fn a_logging_spec_that_never_comes_is_not_waited_for() {
    let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let request = Request::builder().method("PUT").uri("/logspec");
    let request = request.body(Body::from_stream(never)).unwrap();
    let world = World::new(false, None);
    let reply = world.router.oneshot(request).await.unwrap();
    assert_eq!(reply.status(), 400);
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"{\"error\":\"the body has not come within 10s\"}\n");
}

#[tokio::test]
async fn with_tls_what_tells_names_or_changes_something_wants_a_certificate() {
    let exposition: Exposition = Arc::new(|| ("text/plain", Bytes::from_static(b"up 1\n")));
    let world = World::new(true, Some(exposition));
    for (path, alone, known) in [
        ("/healthz", 200, 200),
        ("/version", 200, 200),
        ("/readyz", 503, 503),
        ("/readyz?verbose", 401, 503),
        ("/logspec", 401, 200),
        ("/metrics", 401, 200),
    ] {
        let answer = world.ask("GET", path, "", &[]).await;
        assert_eq!(answer.status, alone, "{path} without a certificate");
        let answer = world.ask("GET", path, "", &[b"a certificate"]).await;
        assert_eq!(answer.status, known, "{path} with one");
    }
    let body = r#"{"spec":"debug"}"#;
    assert_eq!(world.plain("PUT", "/logspec", body).await, answer(401, ""));
}

#[tokio::test]
async fn metrics_are_there_for_a_scraper_alone_by_any_method() {
    let exposition: Exposition = Arc::new(|| ("text/plain; version=0.0.4", Bytes::from_static(b"up 1\n")));
    let world = World::new(false, Some(exposition));
    for method in ["GET", "POST"] {
        let answer = world.ask(method, "/metrics", "", &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "up 1\n"));
        assert_eq!(answer.content_type, "text/plain; version=0.0.4");
    }
    let world = World::new(false, None);
    assert_eq!(
        world.plain("GET", "/metrics", "").await,
        answer(404, "404 page not found\n")
    );
}

#[test]
fn a_question_is_read_from_its_parameters() {
    let question = Question::parse("channel=a&channel=b.c&require=any&verbose").unwrap();
    assert_eq!(
        question,
        Question {
            channels: vec!["a".to_owned(), "b.c".to_owned()],
            any: true,
            verbose: true,
        }
    );
    assert_eq!(Question::parse(""), Ok(Question::default()));
    let error = Question::parse("chanel=a").unwrap_err();
    assert!(
        error.contains("'chanel=a'") && error.contains("channel=NAME"),
        "{error}"
    );
}

mod answers {
    use super::super::*;
    use crate::admin::{ChannelInfo, Relation, Status};
    use crate::operations::readiness::ChannelReport;
    use protos::{ChannelId, Height};

    fn channel(name: &str, is_ready: bool) -> ChannelReport {
        let reason = (!is_ready).then(|| Reason::blocking(Code::NoLeader, "an election is under way"));
        ChannelReport {
            info: ChannelInfo {
                name: ChannelId::parse(name).unwrap(),
                relation: Relation::Consenter,
                status: Status::Active,
                height: Height(1),
                consensus: None,
                reason: None,
            },
            behind: 0,
            reasons: reason.into_iter().collect(),
        }
    }

    fn report(channels: &[(&str, bool)]) -> Report {
        Report {
            reasons: Vec::new(),
            disks: Vec::new(),
            certificates: Vec::new(),
            channels: channels
                .iter()
                .map(|(name, ready)| channel(name, *ready))
                .collect(),
        }
    }

    #[test]
    fn all_channels_must_be_ready_or_those_asked_for_or_any() {
        use Verdict::{NoSuchChannel, NotReady, Ready};
        let mixed = [("good", true), ("bad", false)];
        for (query, channels, verdict) in [
            ("", &[][..], Ready),
            ("", &[("good", true)][..], Ready),
            ("", &mixed[..], NotReady),
            ("channel=good", &mixed[..], Ready),
            ("channel=bad", &mixed[..], NotReady),
            ("channel=good&channel=bad", &mixed[..], NotReady),
            ("require=any", &mixed[..], Ready),
            ("require=any", &[("bad", false)][..], NotReady),
            ("require=any", &[][..], Ready),
            ("channel=other", &mixed[..], NoSuchChannel),
        ] {
            let mut report = report(channels);
            let question = Question::parse(query).unwrap();
            assert_eq!(question.ask(&mut report), verdict, "{query} {channels:?}");
        }
    }

    #[test]
    fn a_node_that_is_not_ready_makes_no_channel_ready() {
        let mut report = report(&[("good", true)]);
        let full = Reason::blocking(Code::DiskFull, "full");
        report.reasons.push(full);
        for query in ["", "require=any", "channel=good", "channel=other"] {
            let question = Question::parse(query).unwrap();
            assert_eq!(question.ask(&mut report.clone()), Verdict::NotReady, "{query}");
        }
    }
}
