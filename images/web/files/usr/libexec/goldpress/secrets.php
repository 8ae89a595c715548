<?php

// Fetches the secrets of one pool, by the machine's role, from SSM's Parameter Store or Secrets
// Manager, into a folder of memory that only root reads; systemd hands them to the pool's unit.
// One that is missing ends it with status 1, and the pool does not start. No secret is printed.
//
//     php secrets.php POOL
//
// User data says where: SECRETS_PATH (a prefix, such as /web/prod) and, when it is not the
// Parameter Store, SECRETS_SERVICE=secretsmanager.

declare(strict_types=1);

namespace Goldpress\Secrets;

const TRIES = 5;
const TARGETS = [
    'ssm' => ['AmazonSSM.GetParameter', 'Name', ['WithDecryption' => true]],
    'secretsmanager' => ['secretsmanager.GetSecretValue', 'SecretId', []],
];

final class Refused extends \RuntimeException
{
}

/** The response's body; tries again what may pass. Raises Refused with the status and error code. */
function request(string $method, string $url, array $headers, string $body = ''): string
{
    $lines = array_map(fn ($name) => "$name: {$headers[$name]}", array_keys($headers));
    $context = stream_context_create([
        'http' => [
            'method' => $method,
            'header' => $lines,
            'content' => $body,
            'timeout' => 10,
            'ignore_errors' => true,
            'follow_location' => 0,
        ],
        'ssl' => ['cafile' => '/etc/pki/tls/certs/ca-bundle.crt'],
    ]);
    $place = parse_url($url, PHP_URL_HOST) . parse_url($url, PHP_URL_PATH);
    for ($try = 1; ; $try++) {
        $answer = @file_get_contents($url, false, $context);
        $status = (int) (explode(' ', $http_response_header[0] ?? '')[1] ?? 0);
        if ($answer !== false && $status === 200) {
            return $answer;
        }
        // AWS names the error in the body; the value of a secret is in answers of 200 only.
        $code = json_decode((string) $answer, true)['__type'] ?? '';
        $passing = $status === 0 || $status >= 500 || str_contains($code, 'Throttl');
        if (!$passing || $try === TRIES) {
            throw new Refused(trim("$place answers with $status $code"));
        }
        sleep($try);
        $http_response_header = [];
    }
}

/** The headers of a POST to / signed by AWS's Signature Version 4, every one of them included. */
function signed(
    string $host,
    array $headers,
    string $body,
    string $region,
    string $service,
    array $credentials,
    int $time,
): array {
    $stamp = gmdate('Ymd\THis\Z', $time);
    $headers += ['Host' => $host, 'X-Amz-Date' => $stamp];
    if (($credentials['Token'] ?? '') !== '') {
        $headers += ['X-Amz-Security-Token' => $credentials['Token']];
    }
    $canonical = [];
    foreach ($headers as $name => $value) {
        $canonical[strtolower($name)] = trim($value);
    }
    ksort($canonical);
    $names = implode(';', array_keys($canonical));
    $rows = '';
    foreach ($canonical as $name => $value) {
        $rows .= "$name:$value\n";
    }
    $hash = hash('sha256', $body);
    $request = implode("\n", ['POST', '/', '', $rows, $names, $hash]);
    $scope = substr($stamp, 0, 8) . "/$region/$service/aws4_request";
    $text = implode("\n", ['AWS4-HMAC-SHA256', $stamp, $scope, hash('sha256', $request)]);
    $key = 'AWS4' . $credentials['SecretAccessKey'];
    foreach (explode('/', $scope) as $part) {
        $key = hash_hmac('sha256', $part, $key, true);
    }
    $signature = hash_hmac('sha256', $text, $key);
    $by = "Credential={$credentials['AccessKeyId']}/$scope";
    return $headers + [
        'Authorization' => "AWS4-HMAC-SHA256 $by, SignedHeaders=$names, Signature=$signature",
    ];
}

/** What the user data says under these keys. */
function settings(string $file): array
{
    $found = [];
    foreach (is_readable($file) ? file($file, FILE_IGNORE_NEW_LINES) : [] as $line) {
        [$key, $value] = explode('=', $line, 2) + ['', ''];
        $found[$key] = $value;
    }
    return $found;
}

/** Name -> path, as the image asks for them. */
function wanted(string $file): array
{
    $rows = array_map(fn ($line) => explode(' ', $line, 2), file($file, FILE_IGNORE_NEW_LINES));
    return array_column($rows, 1, 0);
}

function fetch(string $pool, string $metadata, string $run, string $list): void
{
    $settings = settings("$run/goldpress/user-data.env");
    $prefix = $settings['SECRETS_PATH'] ?? '';
    if (!preg_match('~^/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$~', $prefix)) {
        throw new Refused('the user data has no SECRETS_PATH, such as /web/prod');
    }
    $service = $settings['SECRETS_SERVICE'] ?? 'ssm';
    [$target, $field, $more] = TARGETS[$service]
        ?? throw new Refused('SECRETS_SERVICE is neither ssm nor secretsmanager');
    $life = ['X-aws-ec2-metadata-token-ttl-seconds' => '300'];
    $token = ['X-aws-ec2-metadata-token' => request('PUT', "$metadata/latest/api/token", $life)];
    $ask = fn (string $path) => request('GET', "$metadata/latest/meta-data/$path", $token);
    $region = $ask('placement/region');
    $domain = $ask('services/domain');
    $role = trim($ask('iam/security-credentials/'));
    $credentials = json_decode($ask("iam/security-credentials/$role"), true);
    $host = "$service.$region.$domain";
    $endpoint = getenv('GOLDPRESS_SECRETS_ENDPOINT') ?: "https://$host";
    foreach (wanted($list) as $name => $path) {
        $body = json_encode([$field => "$prefix/$path"] + $more, JSON_UNESCAPED_SLASHES);
        $headers = ['Content-Type' => 'application/x-amz-json-1.1', 'X-Amz-Target' => $target];
        $headers = signed($host, $headers, $body, $region, $service, $credentials, time());
        try {
            $answer = json_decode(request('POST', "$endpoint/", $headers, $body), true);
        } catch (Refused $refused) {
            throw new Refused("$prefix/$path: {$refused->getMessage()}");
        }
        $value = $service === 'ssm' ? $answer['Parameter']['Value'] : $answer['SecretString'];
        $file = "$run/goldpress-secrets/$pool/$name";
        if (file_put_contents("$file.new", $value) !== strlen($value)) {
            throw new Refused("$file.new cannot be written");
        }
        rename("$file.new", $file);
    }
}

if (!debug_backtrace()) {
    umask(077);
    try {
        fetch(
            $argv[1],
            getenv('GOLDPRESS_METADATA') ?: 'http://169.254.169.254',
            getenv('GOLDPRESS_RUN') ?: '/run',
            (getenv('GOLDPRESS_LISTS') ?: '/usr/lib/goldpress/secrets') . "/$argv[1]",
        );
    } catch (Refused $refused) {
        fwrite(STDERR, "goldpress-secrets: {$refused->getMessage()}\n");
        exit(1);
    }
}
