<?php

declare(strict_types=1);

namespace Sample;

/** @return array{int, string, string} status, media type and body */
function page(string $method, string $path): array
{
    return match ($path) {
        '/' => [200, 'text/plain', 'goldpress-php ' . PHP_VERSION . ' ' . PHP_SAPI . "\n"],
        '/visits' => [200, 'text/plain', visits() . "\n"],
        '/upload' => $method === 'POST' ? upload() : [405, 'text/plain', "POST a file\n"],
        '/database' => database(),
        default => [404, 'text/plain', "not found\n"],
    };
}

/** How often this visitor was here, from the session. */
function visits(): int
{
    session_start();
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
    return $_SESSION['visits'];
}

/** @return array{int, string, string} */
function upload(): array
{
    $file = $_FILES['file'] ?? null;
    if ($file === null || $file['error'] !== UPLOAD_ERR_OK) {
        return [400, 'text/plain', "no file\n"];
    }
    return [200, 'text/plain', $file['size'] . ' ' . hash_file('sha256', $file['tmp_name']) . "\n"];
}

/** @return array{int, string, string} the row of ?id= */
function database(): array
{
    try {
        $statement = connection()->prepare('SELECT title, body FROM pages WHERE id = ?');
        $statement->execute([(int) ($_GET['id'] ?? 1)]);
        $row = $statement->fetch(\PDO::FETCH_ASSOC);
    } catch (\PDOException $error) {
        error_log('database: ' . $error->getMessage());
        return [503, 'text/plain', "the database does not answer\n"];
    }
    if ($row === false) {
        return [404, 'text/plain', "no such page\n"];
    }
    [$title, $body] = array_map('htmlspecialchars', [$row['title'], $row['body']]);
    return [200, 'text/html', "<!doctype html><title>$title</title><h1>$title</h1><p>$body</p>\n"];
}

/** The one connection of this worker; it stays open between requests. */
function connection(): \PDO
{
    $host = getenv('DB_HOST') ?: '127.0.0.1';
    $name = getenv('DB_NAME') ?: 'sample';
    return new \PDO(
        "pgsql:host=$host;dbname=$name",
        getenv('DB_USER') ?: 'sample',
        secret('DB_PASSWORD'),
        [
            \PDO::ATTR_PERSISTENT => true,
            \PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION,
            \PDO::ATTR_TIMEOUT => 3,
        ],
    );
}

/** A secret of this pool: a file that its unit was given, in memory, and nobody else can read. */
function secret(string $name): string
{
    $folder = getenv('CREDENTIALS_DIRECTORY') ?: '';
    return $folder === '' ? '' : rtrim((string) file_get_contents("$folder/$name"), "\n");
}
