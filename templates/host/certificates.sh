# The stack's own authority, and the certificate that it issues to the gateway. Private keys are made here and stay here.
# Callers set: stack, authority (its folder), home (the gateway's), names (as in a subjectAltName).
# Needs: POSIX sh, coreutils, sed, flock, openssl 1.1.1.
AUTHORITY_DAYS=3650
DAYS=90
BACKDATED=3600 # seconds: clocks of clients, and ours, may be wrong
RENEW_DAYS=30 # of life left: a month in which a machine may be off and a person may look

certificate_fault() { # why the certificate has to be made anew; nothing while it is good
    authority_fault || server_fault || :
}

authority_fault() { # fails if there is none
    if [ ! -s "$authority/ca.pem" ] || [ ! -s "$authority/ca.key" ]; then
        echo "the stack has no authority"
    elif ! is_private "$authority/ca.key"; then
        echo "others may read the authority's private key"
    elif ! fits "$authority/ca.pem" "$authority/ca.key"; then
        echo "the authority's certificate and private key are not a pair"
    elif ! openssl x509 -in "$authority/ca.pem" -noout -checkend 0 >/dev/null 2>&1; then
        echo "the stack's authority has ended"
    else
        return 1
    fi
}

server_fault() { # fails if there is none
    made= ends=
    if [ ! -s "$home/tls/server.pem" ]; then
        echo "the endpoint has no certificate"
    elif ! is_private "$home/tls/server.pem"; then
        echo "others may read the endpoint's private key"
    elif ! read -r made ends <"$home/tls/server.pem" || [ "$made" != "$names" ]; then
        echo "the endpoint's certificate is for other names"
    elif ! fits "$home/tls/server.pem" "$home/tls/server.pem"; then
        echo "the endpoint's certificate and private key are not a pair"
    elif ! openssl verify -CAfile "$authority/ca.pem" "$home/tls/server.pem" >/dev/null 2>&1; then
        echo "the endpoint's certificate is not good under the stack's authority"
    elif ! openssl x509 -in "$home/tls/server.pem" -noout -checkend $((RENEW_DAYS * 86400)) >/dev/null 2>&1; then
        echo "the endpoint's certificate ends within $RENEW_DAYS days"
    else
        return 1
    fi
}

is_private() { # FILE
    case $(stat -c %a "$1") in *00) ;; *) return 1 ;; esac
}

fits() { # CERTIFICATE PRIVATE_KEY
    public=$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null) && [ -n "$public" ] &&
        [ "$public" = "$(openssl pkey -in "$2" -pubout 2>/dev/null)" ]
}

make_certificate() { # what has to be made anew, one at a time
    mkdir -p "$authority" "$home/tls"
    chmod 700 "$authority" "$home/tls"
    (
        flock 8
        if authority_fault >/dev/null; then make_authority; fi && if server_fault >/dev/null; then make_server; fi
    ) 8>"$authority/lock"
}

# Its name tells it from one before: clients then say that they don't know it. openssl does not notice a full disk.
make_authority() {
    cat >"$authority/extensions" <<EOT
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
EOT
    new_key "$authority/ca.key.new" &&
        request "$authority/ca.key.new" "/O=Enginehouse/CN=$stack $(openssl rand -hex 4)" >"$authority/request" &&
        issue "$authority/request" "$authority/extensions" $AUTHORITY_DAYS -selfsign -keyfile "$authority/ca.key.new" \
            >"$authority/ca.pem.new" &&
        fits "$authority/ca.pem.new" "$authority/ca.key.new" &&
        mv -f "$authority/ca.key.new" "$authority/ca.key" && mv -f "$authority/ca.pem.new" "$authority/ca.pem" &&
        rm -f "$authority/request" "$authority/extensions"
}

make_server() { # one file, so that HAProxy never reads one half of a pair; its first line says for whom and until when
    new=$home/tls/server.pem.new
    cat >"$new.extensions" <<EOT
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $names
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
EOT
    new_key "$new.key" &&
        request "$new.key" /O=Enginehouse >"$new.request" &&
        issue "$new.request" "$new.extensions" $DAYS -cert "$authority/ca.pem" -keyfile "$authority/ca.key" \
            >"$new.certificate" &&
        ends=$(openssl x509 -in "$new.certificate" -noout -enddate) &&
        { echo "$names $(date -d "${ends#*=}" +%s)" && cat "$new.certificate" "$new.key"; } >"$new" &&
        mv -f "$new" "$home/tls/server.pem" &&
        rm -f "$new".*
}

request() { # PRIVATE_KEY SUBJECT
    printf '[req]\ndistinguished_name = subject\n[subject]\n' |
        openssl req -new -sha256 -key "$1" -subj "$2" -config /dev/stdin
}

# `openssl ca` is the one that can set a beginning before 3.4. It wants a database, which nobody needs afterwards.
issue() { # REQUEST EXTENSIONS DAYS [openssl's words]
    request=$1 extensions=$2 days=$3 folder=$authority/issuing
    shift 3
    rm -rf "$folder"
    mkdir "$folder"
    : >"$folder/database"
    cat >"$folder/config" <<EOT
[issuing]
database = "$folder/database"
new_certs_dir = "$folder"
rand_serial = yes
default_md = sha256
policy = subject
[subject]
organizationName = supplied
commonName = optional
EOT
    openssl ca -batch -notext -config "$folder/config" -name issuing -in "$request" -extfile "$extensions" "$@" \
        -startdate "$(date -u -d "@$(($(date +%s) - BACKDATED))" +%Y%m%d%H%M%SZ)" -days "$days" 2>"$folder/said" ||
        { cat "$folder/said" >&2 && return 1; }
    rm -rf "$folder"
}

new_key() { # FILE
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
}
