// Prints what Kubernetes' Go types say of the fields of built-in kinds and its OpenAPI documents do not: whether
// a zero value is left out, and names of types. src/embedded/validate/fields.rs tells the format.
package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

var table = map[string]map[string]string{}

func main() {
	served := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme} {
		if err := add(served); err != nil {
			panic(err)
		}
	}
	for kind, goType := range served.AllKnownTypes() {
		stable := !strings.Contains(kind.Version, "alpha") && !strings.Contains(kind.Version, "beta")
		if stable && kind.Version != runtime.APIVersionInternal {
			visit(goType)
		}
	}
	var lines []string
	for definition, fields := range table {
		var told []string
		for name, what := range fields {
			if name != "apiVersion" && name != "kind" {
				told = append(told, name+what)
			}
		}
		slices.Sort(told)
		if len(told) > 0 && !strings.HasSuffix(definition, "List") && !strings.HasSuffix(definition, "Options") {
			value, _ := json.Marshal(strings.Join(told, " "))
			lines = append(lines, fmt.Sprintf("%q: %s", definition, value))
		}
	}
	slices.Sort(lines)
	fmt.Printf("{\n%s\n}\n", strings.Join(lines, ",\n"))
}

// The name of the OpenAPI definition: io.k8s.api.core.v1.Pod.
func definition(goType reflect.Type) string {
	host, path, _ := strings.Cut(goType.PkgPath(), "/")
	parts := strings.Split(host, ".")
	slices.Reverse(parts)
	return strings.Join(append(append(parts, strings.Split(path, "/")...), goType.Name()), ".")
}

func visit(goType reflect.Type) {
	switch goType.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		visit(goType.Elem())
	case reflect.Struct:
		// These write their JSON themselves.
		own := slices.Contains([]string{"IntOrString", "Time", "JSON", "Quantity"}, goType.Name())
		name := definition(goType)
		if _, seen := table[name]; !seen && !own && strings.HasPrefix(goType.PkgPath(), "k8s.io/") {
			table[name] = map[string]string{}
			fields(goType, table[name])
		}
	}
}

func fields(goType reflect.Type, into map[string]string) {
	for i := range goType.NumField() {
		field := goType.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		fieldType, pointer := field.Type, field.Type.Kind() == reflect.Pointer
		if pointer {
			fieldType = fieldType.Elem()
		}
		if name == "" && field.Anonymous && fieldType.Kind() == reflect.Struct {
			fields(fieldType, into)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		visit(fieldType)
		omitted := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if what, ok := tell(fieldType, pointer, omitted, strings.Contains(options, "omitzero")); ok {
			into[name] = what
		}
	}
}

// What the table says of a field, if anything.
func tell(goType reflect.Type, pointer, omitted, omitsZero bool) (string, bool) {
	name := goType.String()
	told := map[bool]string{true: ":", false: ":*"}[omitted]
	switch goType.Kind() {
	case reflect.Struct:
		time := slices.Contains([]string{"Time", "MicroTime"}, goType.Name())
		switch {
		case omitsZero && !pointer:
			return "", true
		case pointer && !omitted, time && !pointer:
			return ":*", true
		}
		return "", false
	case reflect.Slice, reflect.Map:
		known := goType.Kind() == reflect.Slice && (goType.Elem().Kind() != reflect.String || goType.Elem().String() == "string")
		known = known || name == "map[string]string"
		if known {
			return told, !omitted
		}
		return told + name, true
	case reflect.Interface:
		return "", false
	}
	plain := slices.Contains([]string{"string", "int32", "int64", "bool"}, name)
	switch {
	case omitted && !pointer && plain:
		return "", true
	case omitted && !pointer:
		return ":" + name, true
	case pointer && !omitted:
		return map[bool]string{true: ":*", false: ":*" + name}[plain], true
	default:
		return ":=" + name, !plain
	}
}
