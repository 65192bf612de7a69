//! Serves the repositories of a folder over HTTP: hands each request to `git http-backend` as CGI.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{program::output, repo::git};

/// Whom a server lets in.
#[derive(Default)]
pub(super) struct Door {
    closed: AtomicBool,
    login: Option<String>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Door {
    /// Asks for a user name and a password.
    pub(super) fn locked(user: &str, password: &str) -> Self {
        let login = Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Self { login, ..Self::default() }
    }

    /// Hangs up on everybody from now on, or no longer.
    pub(super) fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }
}

/// Serves until the test program ends.
pub(super) fn serve(root: PathBuf, door: Arc<Door>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if door.closed.load(Ordering::SeqCst) {
                continue; // and the connection closes
            }
            let (root, door) = (root.clone(), Arc::clone(&door));
            // A client that hangs up early is no fault of the server.
            thread::spawn(move || drop(converse(&stream, &root, &door)));
        }
    });
    address
}

/// One request, one answer, then the connection closes.
fn converse(stream: &TcpStream, root: &Path, door: &Door) -> std::io::Result<()> {
    let request = read(&mut BufReader::new(stream), stream)?;
    if door.login.as_ref().is_some_and(|login| request.header("authorization") != login) {
        let mut stream = stream;
        let head = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0";
        return write!(stream, "{head}\r\nWWW-Authenticate: Basic realm=\"e2e\"\r\n\r\n");
    }
    let answer = ask_git(&request, root);
    let end_of_head = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 2);
    let (head, body) = answer.split_at(end_of_head);
    let head = String::from_utf8_lossy(head);
    let (status, headers): (Vec<&str>, Vec<&str>) =
        head.lines().partition(|line| line.starts_with("Status: "));
    let status = status.first().map_or("200 OK", |line| &line["Status: ".len()..]);
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{}\r\n", headers.join("\r\n"))?;
    stream.write_all(body) // begins with the empty line
}

fn ask_git(request: &Request, root: &Path) -> Vec<u8> {
    let mut backend = git();
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"));
    output(&mut backend, &request.body).stdout
}

fn read(reader: &mut impl BufRead, stream: &TcpStream) -> std::io::Result<Request> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("expect") == "100-continue" {
        let mut stream = stream;
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request.header("transfer-encoding") == "chunked" {
        request.body = chunks(reader)?;
    } else {
        let length = request.header("content-length").parse().unwrap_or(0);
        reader.take(length).read_to_end(&mut request.body)?;
    }
    Ok(request)
}

fn chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = u64::from_str_radix(&line(reader)?, 16).map_err(std::io::Error::other)?;
        reader.take(size).read_to_end(&mut body)?;
        line(reader)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }
}
