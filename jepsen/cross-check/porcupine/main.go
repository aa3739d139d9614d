// Judges registers with porcupine. Arguments are files in the form of atoll_history::export::plain; for each a line
// with its name and "ok", "illegal" or "unknown" is printed. Weaker reads than linearizable are left out.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// What the register holds. Version 0: not shown yet, of a write whose answer never came.
type state struct {
	present bool
	value   string
	version uint64
}

type call struct {
	name, key string
	// Of a put and a compare-and-set.
	value string
	// Of a compare-and-set; 0: absent.
	expected uint64
}

type answer struct {
	kind    string
	value   string
	version uint64
}

func main() {
	for _, path := range os.Args[1:] {
		operations, err := read(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, path, err)
			os.Exit(2)
		}
		verdict := "ok"
		for _, key := range operations {
			switch porcupine.CheckOperationsTimeout(model(owned(key)).ToModel(), key, time.Minute) {
			case porcupine.Illegal:
				verdict = "illegal"
			case porcupine.Unknown:
				if verdict == "ok" {
					verdict = "unknown"
				}
			}
		}
		fmt.Println(path, verdict)
	}
}

// The operations by key. A moment is the number of a line.
func read(path string) (map[string][]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	byKey := map[string][]porcupine.Operation{}
	open := map[string]porcupine.Operation{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for moment := int64(1); lines.Scan(); moment++ {
		words := strings.Fields(lines.Text())
		client, _ := strconv.Atoi(words[2])
		if words[0] == "call" {
			asked := call{name: words[3], key: words[4]}
			switch words[3] {
			case "put":
				asked.value = words[5]
			case "cas":
				asked.expected, _ = strconv.ParseUint(words[5], 10, 64)
				asked.value = words[7]
			case "get":
				if words[5] != "linearizable" {
					continue
				}
			case "delete":
			default:
				continue
			}
			open[words[1]] = porcupine.Operation{ClientId: client, Input: asked, Call: moment}
			continue
		}
		operation, known := open[words[1]]
		if !known {
			continue
		}
		got := answer{kind: words[3]}
		switch {
		case got.kind == "found":
			got.value = words[4]
			got.version, _ = strconv.ParseUint(words[5], 10, 64)
		case len(words) > 4:
			got.version, _ = strconv.ParseUint(words[4], 10, 64)
		}
		operation.Output, operation.Return = got, moment
		key := operation.Input.(call).key
		byKey[key] = append(byKey[key], operation)
	}
	return byKey, lines.Err()
}

// The versions of writes that were answered: no other write has them.
func owned(operations []porcupine.Operation) map[uint64]bool {
	versions := map[uint64]bool{}
	for _, operation := range operations {
		if got := operation.Output.(answer); got.kind == "ok" {
			versions[got.version] = true
		}
	}
	return versions
}

func model(owned map[uint64]bool) *porcupine.NondeterministicModel {
	return &porcupine.NondeterministicModel{
		Init: func() []interface{} { return []interface{}{state{}} },
		Step: func(now, input, output interface{}) []interface{} {
			return step(now.(state), input.(call), output.(answer), owned)
		},
	}
}

// Whether the register can have this version, 0 being absent.
func has(now state, version uint64, owned map[uint64]bool) bool {
	if version == 0 || !now.present {
		return version == 0 && !now.present
	}
	if now.version == 0 {
		return !owned[version]
	}
	return now.version == version
}

func step(now state, asked call, got answer, owned map[uint64]bool) []interface{} {
	stay, none := []interface{}{now}, []interface{}{}
	shown := now
	if now.present && got.version != 0 {
		shown.version = got.version
	}
	after := state{present: true, value: asked.value, version: got.version}
	if asked.name == "delete" || asked.value == "-" {
		after = state{}
	}
	switch got.kind {
	case "found":
		if now.present && now.value == got.value && has(now, got.version, owned) {
			return []interface{}{shown}
		}
		return none
	case "absent":
		if !now.present {
			return stay
		}
		return none
	case "conflict":
		if has(now, got.version, owned) && got.version != asked.expected {
			return []interface{}{shown}
		}
		return none
	}
	fits := asked.name != "cas" || has(now, asked.expected, owned)
	if got.kind == "unknown" {
		after.version = 0
		if fits {
			return []interface{}{now, after}
		}
		return stay
	}
	if fits {
		return []interface{}{after}
	}
	return none
}
