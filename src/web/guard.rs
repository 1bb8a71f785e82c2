//! What stands before every handler: who may ask, from where, and what a browser may do with the answer.
//!
//! Browsers that the operator trusts visit sites that nobody should. So a request must call this box by a name that is
//! ours (else a stranger's name could be made to lead here, DNS rebinding), must not come from another site's page, and,
//! if it changes something, must be of a kind that another site's form cannot send.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::assets;
use super::auth::{Peer, Shown};
use super::problem::Problem;
use super::state::Page;

/// What every answer tells the browser: scripts, styles and connections of our own alone, no frame around us, nothing for
/// other sites to embed.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; object-src 'none'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];
/// Where one logs in.
const LOG_IN: &str = "/api/v1/session";
const HEALTH: &str = "/healthz";

/// Answers in place of what is behind it what must not get there.
pub(super) async fn guard(State(page): State<Page>, request: Request, next: Next) -> Response {
    let mut response = match check(&page, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn check(page: &Page, request: &Request) -> Result<(), Problem> {
    let (headers, path) = (request.headers(), request.uri().path());
    let access = page.auth.access();
    let host =
        host(headers).ok_or_else(|| Problem::bad_request("the Host header must name this box, once"))?;
    if !is_ours(&host, &access.hosts) {
        let message = format!(
            "this box is not called {:?} by browsers; call it by its IP address, or add the name to web.hosts",
            host.host()
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, message));
    }
    // They hold nothing, and links may lead to them.
    if path == HEALTH || assets::is_one(path) {
        return Ok(());
    }
    let peer = request.extensions().get::<Peer>();
    let address = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.address);
    let shown = page.auth.admit(headers, address, page.clock.monotonic()).map_err(|wait| {
        let seconds = wait.as_secs() + 1;
        Problem::too_many(format!("too many wrong tokens; try again in {seconds} s"), seconds)
    })?;
    if shown != Shown::Token {
        forged(request, &host)?;
    }
    if access.needed && shown == Shown::Nothing && path != LOG_IN {
        let message = "log in first, or show the token: Authorization: Bearer ..";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, message));
    }
    Ok(())
}

/// Whom the request is for.
fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?.parse().ok()?;
    hosts.next().is_none().then_some(host)
}

fn is_ours(host: &Authority, names: &[String]) -> bool {
    let name = host.host();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let name = bare.strip_suffix('.').unwrap_or(bare);
    let mut ours = names.iter().map(String::as_str).chain(["localhost"]);
    bare.parse::<IpAddr>().is_ok() || ours.any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Whether another site's page has sent it. Browsers say where a request comes from, by one header or the other; who says
/// nothing is no browser.
fn forged(request: &Request, host: &Authority) -> Result<(), Problem> {
    let text = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let own = match (text(HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
        }
        (None, None) => true,
    };
    if !own {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not from another site; open the page of this box itself",
        ));
    }
    // What no form can send, nor a script of another site without being refused beforehand.
    if matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        let kind = text(header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let message = "send it with Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_called(name: &str) -> bool {
        let headers = HeaderMap::from_iter([(header::HOST, name.parse().unwrap())]);
        host(&headers).is_some_and(|host| is_ours(&host, &["dock-3.lan".into()]))
    }

    #[test]
    fn it_answers_to_its_names_and_addresses_alone() {
        for ours in
            ["localhost", "LocalHost:8480", "127.0.0.1:8480", "[::1]:8480", "192.0.2.7", "dock-3.LAN.:80"]
        {
            assert!(is_called(ours), "{ours}");
        }
        for other in
            ["evil.example", "localhost.evil.example", "dock-3.lan.evil", "", "1.2.3.4.evil:80", "::1", "."]
        {
            assert!(!is_called(other), "{other}");
        }
        let mut two = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
        two.append(header::HOST, "evil.example".parse().unwrap());
        assert_eq!(host(&two), None);
    }

    fn passes(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/api/v1/vocabulary");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        forged(&request.body(Body::empty()).unwrap(), &"box.lan:8480".parse().unwrap()).is_ok()
    }

    #[test]
    fn other_sites_neither_change_nor_read() {
        let json = ("content-type", "application/json; charset=utf-8");
        assert!(passes("PUT", &[json, ("sec-fetch-site", "same-origin")]));
        assert!(passes("PUT", &[json, ("origin", "http://BOX.lan:8480")]));
        assert!(passes("GET", &[("sec-fetch-site", "none")]), "typed by the user");
        assert!(passes("POST", &[json]), "no browser");
        for site in ["cross-site", "same-site", "", "same-origin, cross-site"] {
            assert!(
                !passes("PUT", &[json, ("sec-fetch-site", site), ("origin", "http://box.lan:8480")]),
                "{site}"
            );
            assert!(!passes("GET", &[("sec-fetch-site", site)]), "{site}");
        }
        for origin in
            ["null", "http://evil.example", "http://box.lan", "http://box.lan:8481", "box.lan:8480", ""]
        {
            assert!(!passes("POST", &[json, ("origin", origin)]), "{origin}");
            assert!(!passes("GET", &[("upgrade", "websocket"), ("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn what_a_form_can_send_changes_nothing() {
        let own = ("origin", "http://box.lan:8480");
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "",
            "application/jsonx",
        ] {
            assert!(!passes("POST", &[own, ("content-type", kind)]), "{kind}");
        }
        assert!(!passes("POST", &[own]));
    }
}
