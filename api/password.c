#include "api/password.h"

#include "api/utf8.h"

#define WORK_SIZE 1024u
#define LEFT_MIN 6u /* bytes that a password must have besides the names of its user */

/* Words that common long passwords are made of: what is left of "P4ssw0rd2024!!" after case, the usual
 * substitutions and the digits and marks around it are taken away. */
static const char *const common[] = {
	"abcdefghij", "abcdefghijk", "abcdefghijkl", "access", "account", "admin", "administrator", "adminadmin", "alexander", "america",
	"anthony", "arsenal", "asdfasdf", "asdfghjkl", "asdfghjklqwertyuiop", "august", "autumn", "bailey", "barcelona", "baseball",
	"basketball", "batman", "blink", "butterfly", "changeit", "changeme", "charlie", "chelsea", "chocolate", "christopher",
	"cocacola", "company", "computer", "cookie", "correcthorsebatterystaple", "dallas", "daniel", "december", "default", "dragon",
	"duplex", "duplexduplex", "elizabeth", "everton", "facebook", "february", "ferrari", "flower", "football", "freedom",
	"friday", "friend", "fuckyou", "general", "guest", "hallo", "harley", "hello", "helloworld", "hockey",
	"hunter", "iloveyou", "iloveyouso", "internet", "january", "jennifer", "jessica", "jordan", "july", "june",
	"killer", "lakers", "letmein", "letmeinnow", "liverpool", "login", "london", "lovely", "maggie", "manchester",
	"march", "marina", "master", "matrix", "maverick", "mercedes", "michael", "michelle", "microsoft", "monday",
	"monkey", "mustang", "mypassword", "nicole", "november", "october", "office", "pass", "passpass", "passphrase",
	"passw", "password", "passwordpassword", "passwort", "pepper", "phoenix", "pokemon", "princess", "purple", "qazwsx",
	"qazwsxedc", "qazwsxedcrfv", "qwer", "qwerasdf", "qwerasdfzxcv", "qwert", "qwerty", "qwertyqwerty", "qwertyuiop", "qwertz",
	"qwertzuiop", "ranger", "robert", "saturday", "secret", "secretpassword", "september", "server", "shadow", "snoopy",
	"soccer", "spring", "starwars", "summer", "sunday", "sunshine", "superman", "system", "temp", "temporary",
	"test", "testtest", "testing", "thomas", "thursday", "tigger", "trustno", "tuesday", "united", "user",
	"username", "voyager", "wednesday", "welcome", "whatever", "william", "winter", "yankees", "zaqwsx", "zxcvbnm",
	"zxcvbnmasdfghjkl",
};

static const char *const rows[] = {
	"01234567890123456789012345678901234567890", "09876543210987654321098765432109876543210", "abcdefghijklmnopqrstuvwxyzabcdefghijkl",
	"zyxwvutsrqponmlkjihgfedcba",                "qwertyuiopasdfghjklzxcvbnm",                "qwertzuiopasdfghjklyxcvbnm",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm",              "1q2w3e4r5t6y7u8i9o0p",
};

static bool contains(struct str text, struct str part)
{
	return part.len > 0 && part.len <= text.len && memmem(text.p, text.len, part.p, part.len) != NULL;
}

/* "abcabcabcabc" has the period 3: nothing but a short word said again and again. */
static bool repeats(struct str s)
{
	for (size_t period = 1; period <= 4 && period < s.len; period++) {
		if (memcmp(s.p, s.p + period, s.len - period) == 0)
			return true;
	}
	return false;
}

static char letter_for(char c)
{
	static const char from[] = "0134578@$!|+", to[] = "oieastbasilt";
	const char *at = strchr(from, c);

	return c != '\0' && at != NULL ? to[at - from] : c;
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || ((unsigned char)c & 0x80) != 0;
}

static bool on_list(struct str word)
{
	char mem[WORK_SIZE];

	if (word.len > sizeof(mem))
		return false;
	for (size_t i = 0; i < word.len; i++)
		mem[i] = letter_for(word.p[i]);
	for (size_t i = 0; i < ARRAY_LEN(common); i++) {
		if (str_eq(str_of(mem, word.len), str_from(common[i])))
			return true;
	}
	return false;
}

/* Digits and marks at the ends do not count; those at the front may be decoration ("!!letmein") or stand for a letter ("@ccess"). */
static bool is_common(struct str folded)
{
	while (folded.len > 0 && !letter(folded.p[folded.len - 1]))
		folded.len--;
	for (;;) {
		if (folded.len == 0 || on_list(folded))
			return true;
		if (letter(folded.p[0]))
			return false;
		folded = str_sub(folded, 1, folded.len);
	}
}

/* Takes every `part` out of the text in `mem`. */
static void take_out(struct buf *text, struct str part)
{
	char *at;

	if (part.len < 3)
		return;
	while (text->len >= part.len && (at = memmem(text->p, text->len, part.p, part.len)) != NULL) {
		size_t behind = text->len - (size_t)(at - text->p) - part.len;

		memmove(at, at + part.len, behind);
		text->len -= part.len;
	}
}

/* Without the person's names hardly anything is left: the rest is guessed quickly. */
static bool made_of(struct str password, struct str name, struct str display)
{
	char mem[WORK_SIZE];
	struct buf rest = buf_fixed(mem, sizeof(mem));

	buf_str(&rest, password);
	take_out(&rest, name);
	while (display.p != NULL)
		take_out(&rest, str_cut(&display, ' '));
	bool little = rest.len < password.len && rest.len < LEFT_MIN;
	explicit_bzero(mem, sizeof(mem));
	return little;
}

static const char *judge(struct str password, struct str name, struct str display)
{
	if (repeats(password))
		return "is one short piece repeated";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (contains(str_from(rows[i]), password))
			return "is a row of neighbouring keys";
	}
	if (is_common(password))
		return "is one of the most common passwords";
	return made_of(password, name, display) ? "is made of the user's names" : NULL;
}

const char *password_weak(struct str password, struct str username, struct str display_name)
{
	char mem[WORK_SIZE], display_mem[WORK_SIZE];
	struct buf folded = buf_fixed(mem, sizeof(mem)), display = buf_fixed(display_mem, sizeof(display_mem));

	utf8_fold(password, &folded);
	utf8_fold(display_name, &display);
	const char *wrong = judge(buf_view(&folded), username, buf_view(&display));
	explicit_bzero(mem, sizeof(mem));
	return wrong;
}
