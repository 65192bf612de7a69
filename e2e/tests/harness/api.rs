//! Requests as they are on the wire, for what `kubectl` would not send, to kube-apiserver or past it.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;

use super::{cluster::Cluster, gitopsd::Gitopsd};

/// No answer takes longer; a watch ends by its `timeoutSeconds`.
const LIMIT: Duration = Duration::from_mins(1);

/// A watch that says nothing for so long has nothing to say.
const SILENCE: Duration = Duration::from_secs(10);

/// A server as one client sees it.
pub(crate) struct Api {
    port: u16,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

/// An answer that goes on, line by line.
pub(crate) struct Stream {
    reader: BufReader<Connection>,
    text: String,
}

/// Who the client is to the TLS layer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Identity<'a> {
    /// No certificate.
    Nobody,
    /// The certificate `NAME.crt` of the cluster's folder `pki`.
    Known(&'a str),
    /// A certificate and its key in PEM that the cluster knows nothing of.
    Foreign(&'a str, &'a str),
}

/// One request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request<'a> {
    /// Method and path with query, as in `GET /apis`.
    pub(crate) line: &'a str,
    /// Further headers.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body, with its content type among the headers.
    pub(crate) body: &'a str,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) code: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Without its transfer encoding.
    pub(crate) body: String,
}

impl Api {
    /// kube-apiserver.
    pub(crate) fn kubernetes(cluster: &Cluster, identity: Identity) -> Self {
        let server = fs::read_to_string(cluster.dir().join("server")).expect("the cluster's folder is there");
        let port = server.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let authority = fs::read(pki(cluster, "ca.crt")).expect("the cluster has a CA");
        Self::new(port.expect("the URL ends with a port"), "localhost", &authority, cluster, identity)
    }

    /// gitopsd itself, believed as kube-apiserver does: by the CA in the `APIService`.
    pub(crate) fn gitopsd(gitopsd: &Gitopsd, identity: Identity) -> Self {
        let cluster = gitopsd.cluster();
        let bundle = cluster.admin().kubectl("get apiservice v1.gitops -o jsonpath={.spec.caBundle}").out();
        let bundle = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle.trim());
        let bundle = bundle.expect("a caBundle is base64");
        Self::new(gitopsd.port(), "gitops.gitops-system.svc", &bundle, cluster, identity)
    }

    fn new(port: u16, name: &'static str, authority: &[u8], cluster: &Cluster, identity: Identity) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(authority).flatten());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.3")
            .with_root_certificates(roots);
        let (certificate, key) = match identity {
            Identity::Nobody => (String::new(), String::new()),
            Identity::Known(name) => {
                let read = |end: &str| fs::read_to_string(pki(cluster, &format!("{name}.{end}")));
                (read("crt").expect("its certificate was made"), read("key").expect("its key was made"))
            }
            Identity::Foreign(certificate, key) => (certificate.to_owned(), key.to_owned()),
        };
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).flatten().collect();
        let tls = match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
            Ok(key) => builder.with_client_auth_cert(chain, key).expect("the key fits the certificate"),
            Err(_) => builder.with_no_client_auth(),
        };
        Self { port, name: name.try_into().expect("it is a DNS name"), tls: Arc::new(tls) }
    }

    /// Asks on a connection of its own.
    pub(crate) fn ask(&self, request: &Request) -> Answer {
        let mut stream = self.send_off(request);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // Go closes without saying goodbye, and without listening when a body is too large for it.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => heard(&mut stream, &mut answer),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => panic!("{}: {error}", request.line),
            _ => {}
        }
        Answer::parse(&answer)
    }

    /// Opens a watch; an error is what was answered instead.
    pub(crate) fn follow(&self, request: &Request) -> Result<Stream, Answer> {
        let mut reader = BufReader::new(self.send_off(request));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(reader.read_until(b'\n', &mut head).expect("the server answers") > 0, "{}", request.line);
        }
        if Answer::parse(&head).code == 200 {
            let socket = &reader.get_ref().sock;
            socket.set_read_timeout(Some(SILENCE)).expect("the limit is not zero");
            return Ok(Stream { reader, text: String::new() });
        }
        let _ = reader.read_to_end(&mut head); // Go closes without saying goodbye
        Err(Answer::parse(&head))
    }

    fn send_off(&self, request: &Request) -> Connection {
        let connection = ClientConnection::new(Arc::clone(&self.tls), self.name.clone());
        let socket = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        socket.set_read_timeout(Some(LIMIT)).expect("the limit is not zero");
        let mut stream = StreamOwned::new(connection.expect("the configuration is sound"), socket);
        stream.write_all(head(request).as_bytes()).expect("the server reads");
        // A server that has heard enough answers before the end.
        let _ = stream.write_all(request.body.as_bytes());
        stream
    }

    /// Asks for something without a body.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&Request { line: &format!("GET {path}"), ..Request::default() })
    }

    /// Sends JSON.
    pub(crate) fn send(&self, line: &str, body: &Value) -> Answer {
        let headers = &[("Content-Type", "application/json")];
        self.ask(&Request { line, headers, body: &body.to_string() })
    }
}

impl Stream {
    /// The next line, unless the stream ends or nothing comes for too long.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let line = line.to_owned();
                self.text = rest.to_owned();
                return Some(line);
            }
            let mut size = String::new();
            self.reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok().filter(|size| *size > 0)?;
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).ok()?;
            self.text += &String::from_utf8_lossy(&chunk[..size]);
        }
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the answer has a head");
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.lines();
        let code = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self { code: code.expect("the answer has a code"), headers, body: String::new() };
        let body = &bytes[end + 4..];
        let chunked = answer.header("transfer-encoding") == "chunked";
        let body = if chunked { dechunk(body) } else { body.to_vec() };
        answer.body = String::from_utf8_lossy(&body).into_owned();
        answer
    }

    /// The first header of this name, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// All headers of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The same where the request must have been refused with this code.
    #[track_caller]
    pub(crate) fn refused(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{self:?}");
        self.json()
    }

    /// The same where the request must have been accepted with this code.
    #[track_caller]
    pub(crate) fn accepted(&self, code: u16) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

fn pki(cluster: &Cluster, file: &str) -> std::path::PathBuf {
    Path::new(cluster.dir()).join("pki").join(file)
}

fn head(request: &Request) -> String {
    let mut head = format!("{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", request.line);
    let _ = write!(head, "User-Agent: e2e/1\r\nContent-Length: {}\r\n", request.body.len());
    for (name, value) in request.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

/// Reads what has arrived from a server that no longer listens.
fn heard(stream: &mut Connection, answer: &mut Vec<u8>) {
    while stream.conn.read_tls(&mut stream.sock).is_ok_and(|read| read > 0)
        && stream.conn.process_new_packets().is_ok()
    {}
    let _ = stream.conn.reader().read_to_end(answer); // ends where the connection was cut
}

/// Takes the chunks apart; a stream that was cut gives what came until then.
fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let chunk = &rest[end + 2..];
        body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        rest = chunk.get(size + 2..).unwrap_or_default();
    }
    body
}
